// SPDX-License-Identifier: Apache-2.0
//
// How much a pull would move and how far the active image would grow: the plan walked once, and
// nothing written. Our own engine does it before it begins, a plan instead of beginning, and for a
// pull that QEMU is to do it tells as much, since both copy the same clusters.
//
// Where clusters of all layers that matter are as large as the active image's, or larger, they are
// counted in rows; everything else, and an active image with subclusters, by the planner's steps.
//
// Nothing is judged here: an image that our engine must not write to can be surveyed.
//
// Thread rule: one call at a time, on a thread that may block.

#pragma once

#include <cstdint>
#include <vector>

#include "core/base/walk_watch.h"
#include "core/image/chain_rows.h"
#include "driver/plan/pull_planner.h"
#include "driver/plan/pull_target.h"

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
  PullSurvey(const PullSurvey&) = delete;
  PullSurvey& operator=(const PullSurvey&) = delete;

  /// Walks on for some ms; to be called until `finished`.
  [[nodiscard]] Result<Totals> next();

  /// The guest offset that the walk has come to.
  [[nodiscard]] std::uint64_t position() const {
    return position_ < planned_until_ ? planner_.position() : position_;
  }

 private:
  [[nodiscard]] Result<void> advance();
  struct Row {
    /// Guest bytes; 0: not known.
    std::uint64_t length = 0;
    bool is_counted = false;
  };

  [[nodiscard]] Result<Row> count_row();
  [[nodiscard]] bool find_moved(std::size_t units);
  [[nodiscard]] Result<void> count_moved(std::uint64_t unit);
  [[nodiscard]] Result<void> count_step(const PlanStep& step);
  [[nodiscard]] Result<void> count_table(const GuestRun& run);

  const PullTarget& target_;
  const std::uint64_t end_;
  PullPlanner planner_;
  /// Of the layers above the base.
  image::ChainRows rows_;
  std::uint64_t position_ = 0;
  /// Up to here the planner counts; from here on, rows.
  std::uint64_t planned_until_ = 0;
  /// For each unit of a window: nobody has answered yet; its bytes are to be moved.
  std::vector<std::uint8_t> is_open_;
  std::vector<std::uint8_t> is_moved_;
  Totals totals_;
  /// Guest clusters, counted from the first, whose tables need not be looked for any more.
  std::uint64_t surveyed_clusters_ = 0;
};

/// All of it; kCancelled where nobody wants it any more.
[[nodiscard]] Result<PullSurvey::Totals> survey(const PullTarget& target, const WalkWatch& watch);

}  // namespace blockpull::driver
