// SPDX-License-Identifier: Apache-2.0
//
// What a pull has to do, found by walking tables and nothing else.
//
//     who answers for a run of guest bytes    │ what becomes of it
//     ────────────────────────────────────────┼────────────────────────────────────────────────
//     the active image                        │ settled
//     no intermediate layer                   │ settled: the base or zeros answer as before
//     an intermediate layer says zeros        │
//       and it reads zeros without that layer │ settled
//       and the base would show               │ zero clusters (version 3), zeros (version 2)
//     an intermediate layer has data          │ piece
//
// Intermediate layers are those between the active image and the base; without a base, all below
// the active image. A cluster of the active image that more than one answer falls into is gathered
// whole, from the base too. The walk costs what the tables cost, not the virtual size: an absent L1
// entry in every layer is one step.
//
// Pure: it asks a ChainWalk and keeps a position. Thread rule: one thread at a time.

#pragma once

#include <cstdint>

#include "core/image/chain.h"
#include "core/image/chain_walk.h"
#include "driver/plan/piece.h"

namespace blockpull::driver {

/// One answer of the planner.
struct PlanStep {
  /// No clusters: none.
  Piece piece;
  /// Clusters to become zero clusters; count 0: none.
  GuestRun zeros;
  /// Guest bytes found to need nothing.
  std::uint64_t settled = 0;
  bool at_end = false;
};

class PullPlanner {
 public:
  /// `base`: index of the layer that stays, chain.layers.size() when none does.
  PullPlanner(const image::Chain& chain, std::size_t base, bool can_write_zero_clusters);

  /// What comes next is [from, until) and nothing else; both are multiples of the active image's
  /// cluster size, or the end of its disk.
  void restrict_to(std::uint64_t from, std::uint64_t until) {
    position_ = from;
    end_ = until;
  }

  /// The guest offset that it has come to.
  [[nodiscard]] std::uint64_t position() const { return position_; }

  /// For who looks at the same tables beside the planner.
  [[nodiscard]] image::ChainWalk& walk() { return walk_; }

  /// Goes on until there is a piece of up to `most_bytes` (at least one cluster), a run of zeros,
  /// the end, or a good many table slices have been looked at.
  [[nodiscard]] Result<PlanStep> next(std::uint64_t most_bytes);

 private:
  [[nodiscard]] Result<void> advance(PlanStep& step, std::uint64_t most_bytes);
  [[nodiscard]] Result<void> plan_zeros(PlanStep& step, std::uint64_t length,
                                        std::uint64_t most_bytes);
  [[nodiscard]] Result<void> plan_mixed(PlanStep& step);
  [[nodiscard]] Result<void> add_run(PlanStep& step, const image::Owner& owner,
                                     std::uint64_t length);
  [[nodiscard]] Result<void> gather(PlanStep& step);
  void add_zero_clusters(PlanStep& step, std::uint64_t length);
  void settle(PlanStep& step, std::uint64_t length);
  Piece& open_piece(PlanStep& step, std::uint64_t guest_bytes);
  [[nodiscard]] std::uint64_t whole_clusters(std::uint64_t run) const;
  [[nodiscard]] bool has_base() const { return base_ < chain_.layers.size(); }

  const image::Chain& chain_;
  image::ChainWalk walk_;
  const std::size_t base_;
  const bool can_write_zero_clusters_;
  const std::uint64_t cluster_size_;
  std::uint64_t end_;
  std::uint64_t position_ = 0;
};

}  // namespace blockpull::driver
