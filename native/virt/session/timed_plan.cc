// SPDX-License-Identifier: Apache-2.0

#include "virt/session/timed_plan.h"

#include <utility>

namespace blockpull::virt {

TimedPlan timed(driver::PullPlan plan, std::uint64_t bytes_per_second,
                const std::function<Failure(Error)>& say) {
  TimedPlan out;
  for (Error& refusal : std::exchange(plan.refusals, {})) {
    out.refusals.push_back(say(std::move(refusal)));
  }
  out.plan = std::move(plan);
  if (bytes_per_second != 0) {
    out.seconds =
        static_cast<double>(out.plan.bytes_to_move) / static_cast<double>(bytes_per_second);
  }
  return out;
}

}  // namespace blockpull::virt
