// SPDX-License-Identifier: Apache-2.0
//
// Finds out what a pull has to do, from the tables alone.
//
//     layer that has a run of guest bytes     │ what is done with it
//     ────────────────────────────────────────┼────────────────────────────────────────────────
//     the active image, in every state        │ settled
//     no intermediate layer                   │ settled: reads from the base, or zeros, as before
//     an intermediate layer states zeros      │
//       and without it the run reads zeros    │ settled
//       and without it the base would show    │ zero clusters (version 3), zeros (version 2)
//     an intermediate layer has data          │ piece
//
// Intermediate layers lie between the active image and the base; without a base they are all layers
// below the active image. If the parts of one cluster come from several layers, it is copied whole,
// including what the base has of it. With internal snapshots, a cluster that any state of the disk
// lacks is copied once. The walk costs as much as the tables, not the virtual size: an
// L1 entry that is absent in every layer takes one step.
//
// It only queries a ChainWalk and keeps a position. Thread rule: one thread at a time.

#pragma once

#include <cstdint>
#include <optional>

#include "core/image/chain.h"
#include "core/image/chain_walk.h"
#include "core/image/qcow2/missing_clusters.h"
#include "driver/plan/piece.h"
#include "driver/plan/subcluster_plan.h"

namespace blockpull::driver {

/// One step of the plan.
struct PlanStep {
  /// Without clusters: no piece.
  Piece piece;
  /// Clusters to turn into zero clusters; count 0: none. If the image has subclusters, those of
  /// each cluster to turn into zeros.
  GuestRun zeros;
  std::uint32_t zero_subclusters = 0;
  /// Guest bytes that need no work.
  std::uint64_t settled = 0;
  bool at_end = false;
};

class PullPlanner {
 public:
  /// `base`: index of the layer that stays, or chain.layers.size() if none does. `states`: what is
  /// to be filled; nullptr: the active disk alone.
  PullPlanner(const image::Chain& chain, std::size_t base, bool can_write_zero_clusters,
              const image::qcow2::DiskStates* states);

  /// Limits the rest of the plan to [from, until). Both are multiples of the active image's cluster
  /// size, or the end of its disk.
  void restrict_to(std::uint64_t from, std::uint64_t until) {
    position_ = from;
    end_ = until;
  }

  /// The guest offset that the plan has reached.
  [[nodiscard]] std::uint64_t position() const { return position_; }

  /// The walk, for code that reads the same tables as the planner.
  [[nodiscard]] image::ChainWalk& walk() { return walk_; }

  /// Continues until it has a piece of up to `most_bytes` (at least one cluster) or a run of zeros,
  /// reaches the end, or has made a fixed number of table look-ups.
  [[nodiscard]] Result<PlanStep> next(std::uint64_t most_bytes);

 private:
  [[nodiscard]] Result<void> advance(PlanStep& step, std::uint64_t most_bytes);
  [[nodiscard]] Result<image::qcow2::MissingClusters::Run> missing();
  [[nodiscard]] Result<void> plan_zeros(PlanStep& step, std::uint64_t length,
                                        std::uint64_t most_bytes);
  [[nodiscard]] Result<void> plan_mixed(PlanStep& step);
  [[nodiscard]] Result<void> add_run(PlanStep& step, const image::Owner& owner,
                                     std::uint64_t length);
  [[nodiscard]] Result<void> advance_subclusters(PlanStep& step);
  [[nodiscard]] Result<std::uint64_t> unchanged_clusters();
  [[nodiscard]] Result<void> gather(PlanStep& step);
  [[nodiscard]] Result<void> gather_subclusters(PlanStep& step, const SubclusterFill& fill);
  [[nodiscard]] Result<void> gather_part(Piece& piece, std::uint64_t from, std::uint64_t until);
  [[nodiscard]] Result<void> finish_cluster(Piece& piece, std::uint64_t end);
  void add_zero_clusters(PlanStep& step, std::uint64_t length);
  void settle(PlanStep& step, std::uint64_t length);
  Piece& open_piece(PlanStep& step, std::uint64_t guest_bytes);
  [[nodiscard]] std::uint64_t whole_clusters(std::uint64_t run) const;
  [[nodiscard]] bool has_base() const { return base_ < chain_.layers.size(); }

  const image::Chain& chain_;
  image::ChainWalk walk_;
  /// Only with snapshots.
  std::optional<image::qcow2::MissingClusters> missing_;
  /// Only with extended L2 entries.
  std::optional<SubclusterPlan> subclusters_;
  const std::size_t base_;
  const bool can_write_zero_clusters_;
  const std::uint64_t cluster_size_;
  std::uint64_t end_;
  std::uint64_t position_ = 0;
};

}  // namespace blockpull::driver
