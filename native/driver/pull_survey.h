// SPDX-License-Identifier: Apache-2.0
//
// How much a pull would move and how far the active image would grow: the plan walked once, and
// nothing written. Our own engine does it before it begins, a plan instead of beginning, and for a
// pull that QEMU is to do it tells as much, since both copy the same clusters.
//
// Nothing is judged here: an image that our engine must not write to can be surveyed.
//
// Thread rule: one call at a time, on a thread that may block.

#pragma once

#include <cstdint>

#include "core/base/walk_watch.h"
#include "driver/pull_planner.h"
#include "driver/pull_target.h"

namespace blockpull::driver {

class PullSurvey {
 public:
  struct Totals {
    std::uint64_t bytes_to_move = 0;
    std::uint64_t bytes_to_allocate = 0;
    bool finished = false;
  };

  /// Of a target that has work, and that outlives this.
  explicit PullSurvey(const PullTarget& target);

  /// Walks on for some ms; to be called until `finished`.
  [[nodiscard]] Result<Totals> next();

  /// The guest offset that the walk has come to.
  [[nodiscard]] std::uint64_t position() const { return planner_.position(); }

 private:
  [[nodiscard]] Result<void> count_step(const PlanStep& step);
  [[nodiscard]] Result<void> count_table(const GuestRun& run);

  const PullTarget& target_;
  PullPlanner planner_;
  Totals totals_;
  /// L1 index of the last table that was looked at.
  std::uint64_t surveyed_table_ = UINT64_MAX;
};

/// All of it; kCancelled where nobody wants it any more.
[[nodiscard]] Result<PullSurvey::Totals> survey(const PullTarget& target, const WalkWatch& watch);

}  // namespace blockpull::driver
