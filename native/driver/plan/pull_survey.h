// SPDX-License-Identifier: Apache-2.0
//
// Measures how much a pull would move and how far the active image would grow. It walks the plan
// once and writes nothing. Our own engine does this before it begins, and a plan does nothing else.
// The result also holds for a pull by QEMU, since both copy the same clusters.
//
// If all layers that matter have clusters at least as large as the active image's, clusters are
// counted in rows. Everything else, and any active image with subclusters or snapshots, is counted
// in the planner's steps.
//
// It refuses nothing: it can measure an image that our engine must not write to.
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

  /// For a target that has work, and that outlives this.
  explicit PullSurvey(const PullTarget& target);
  PullSurvey(const PullSurvey&) = delete;
  PullSurvey& operator=(const PullSurvey&) = delete;

  /// Walks for some ms; call until `finished`.
  [[nodiscard]] Result<Totals> next();

  /// The guest offset that the walk has reached.
  [[nodiscard]] std::uint64_t position() const {
    return position_ < planned_until_ ? planner_.position() : position_;
  }

 private:
  [[nodiscard]] Result<void> advance();
  struct Row {
    /// Guest bytes; 0 if not known.
    std::uint64_t length = 0;
    bool is_counted = false;
  };

  [[nodiscard]] Result<Row> count_row();
  [[nodiscard]] bool find_moved(std::size_t units);
  [[nodiscard]] Result<void> count_moved(std::uint64_t unit);
  [[nodiscard]] Result<void> count_step(const PlanStep& step);
  [[nodiscard]] Result<void> count_table(const GuestRun& run);

  const PullTarget& target_;
  /// What is to be filled.
  const image::qcow2::DiskStates states_;
  const std::uint64_t end_;
  PullPlanner planner_;
  /// Rows of the layers above the base.
  image::ChainRows rows_;
  std::uint64_t position_ = 0;
  /// Up to here the planner counts; from here on, rows are counted.
  std::uint64_t planned_until_ = 0;
  /// For each unit of a window: is_open_ means that no layer has it yet, is_moved_ that it is to be
  /// moved.
  std::vector<std::uint8_t> is_open_;
  std::vector<std::uint8_t> is_moved_;
  Totals totals_;
  /// Guest clusters, from the first on, whose L2 tables are already counted.
  std::uint64_t surveyed_clusters_ = 0;
};

/// Runs the whole survey. kCancelled if nobody wants the result any more.
[[nodiscard]] Result<PullSurvey::Totals> survey(const PullTarget& target, const WalkWatch& watch);

}  // namespace blockpull::driver
