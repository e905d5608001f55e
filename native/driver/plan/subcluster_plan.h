// SPDX-License-Identifier: Apache-2.0
//
// What one cluster lacks in an active image with extended L2 entries. Each of its 32 subclusters is
// decided by itself:
//
//     the active image     the layers above the base        becomes
//     ────────────────────────────────────────────────────────────────────────────────
//     has it               any                              stays
//     lacks it             nothing                          stays: the base, or zeros, as before
//     lacks it             bytes in any part of it          data, whole
//     lacks it             zeros over bytes of the base     zero bit
//       and the base shows in the rest of it                data, whole
//     lacks it             zeros over zeros                 stays
//
// A subcluster that begins behind the end of the disk stays. What becomes data goes into the host
// cluster of the cluster, if it has one: nobody reads the bytes of a missing subcluster there.
//
// Thread rule: as ChainWalk.

#pragma once

#include <cstdint>

#include "core/image/chain.h"
#include "core/image/chain_walk.h"
#include "driver/plan/piece.h"

namespace blockpull::driver {

class SubclusterPlan {
 public:
  /// For a chain whose active image has extended L2 entries. `base` as in PullPlanner.
  SubclusterPlan(const image::Chain& chain, image::ChainWalk& walk, std::size_t base)
      : chain_(chain), walk_(walk), base_(base) {}

  /// For the cluster at guest offset `offset`. It has a sound entry that is not compressed.
  [[nodiscard]] Result<SubclusterFill> at(std::uint64_t offset);

 private:
  /// Subclusters in which at least one byte ...
  struct Touched {
    /// ... comes from a layer above the base;
    std::uint32_t copied = 0;
    /// ... is zero there and something else in the base;
    std::uint32_t hidden = 0;
    /// ... comes from the base, and is not zero by its tables.
    std::uint32_t shown = 0;
  };

  [[nodiscard]] Result<void> look(std::uint64_t from, std::uint64_t until, Touched& touched);
  [[nodiscard]] std::uint32_t touched_by(std::uint64_t at, std::uint64_t length) const;
  [[nodiscard]] bool has_base() const { return base_ < chain_.layers.size(); }

  const image::Chain& chain_;
  image::ChainWalk& walk_;
  const std::size_t base_;
};

}  // namespace blockpull::driver
