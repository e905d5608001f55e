// SPDX-License-Identifier: Apache-2.0

#include "virt/session/timed_plan.h"

#include <utility>

namespace blockpull::virt {

TimedPlan timed(driver::PullPlan plan, std::uint64_t bandwidth,
                const std::function<Failure(Error)>& say) {
  TimedPlan out;
  for (Error& refusal : std::exchange(plan.refusals, {})) {
    out.refusals.push_back(say(std::move(refusal)));
  }
  out.plan = std::move(plan);
  if (bandwidth != 0) {
    out.seconds = static_cast<double>(out.plan.bytes_to_move) / static_cast<double>(bandwidth);
  }
  return out;
}

}  // namespace blockpull::virt
