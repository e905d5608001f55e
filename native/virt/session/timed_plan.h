// SPDX-License-Identifier: Apache-2.0
//
// A plan in libvirt's words, with the time that it takes at a limit.
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

/// A plan as its caller is told of it, and what it takes at a limit.
struct TimedPlan {
  driver::PullPlan plan;
  /// Those of `plan`, taken from there, as the pull itself would say them.
  std::vector<Failure> refusals;
  /// Absent without a limit.
  std::optional<double> seconds;
};

[[nodiscard]] TimedPlan timed(driver::PullPlan plan, std::uint64_t bandwidth,
                              const std::function<Failure(Error)>& say);

}  // namespace blockpull::virt
