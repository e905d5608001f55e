// SPDX-License-Identifier: Apache-2.0
//
// A plan in libvirt's words, with the time that it takes under a bandwidth limit.
//
// Pure functions.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "driver/pull.h"
#include "virt/words/error_map.h"

namespace blockpull::virt {

/// A plan as it is given to the caller, with the time that it takes under a limit.
struct TimedPlan {
  driver::PullPlan plan;
  /// The refusals of `plan`, moved from there, in the words of the pull itself.
  std::vector<Failure> refusals;
  /// Absent if there is no limit.
  std::optional<double> seconds;
};

[[nodiscard]] TimedPlan timed(driver::PullPlan plan, std::uint64_t bandwidth,
                              const std::function<Failure(Error)>& say);

}  // namespace blockpull::virt
