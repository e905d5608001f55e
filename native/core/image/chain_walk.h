// SPDX-License-Identifier: Apache-2.0
//
// Walking a chain from the first guest byte towards the last: who answers for a run, and what the
// guest reads. The pull's planner asks `who_has`; digests read.
//
// A layer answers for its own virtual size only. Past the end of a short layer, a read that falls
// through to it gives zeros *at that layer* and does not go on to deeper, longer ones.
//
//     layer 1   │──────── nothing here ─────────│ data │      each layer's last answer is kept
//     layer 2   │data│  zero  │data│ …                        until the walk has passed its end
//                    ▲ position
//
// A run that is short because of one layer does not make the others be asked again: with every
// answer kept until it is used up, each table entry is looked at once in a whole walk, however
// fragmented some layer is. Going back works, and costs the look again.
//
// Nobody but the walk's owner may change the chain meanwhile, and only at offsets already passed.
// Thread rule: one thread at a time.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/image/chain.h"

namespace blockpull::image {

/// A run of guest bytes and who answers for it.
struct Owner {
  /// Index in the chain; `last` of the question when nobody in [first, last) answers.
  std::size_t layer = 0;
  /// Of that layer. kUnallocated: nobody in [first, last) answers. kZero also for the end of a
  /// short layer.
  Extent extent;
};

class ChainWalk {
 public:
  explicit ChainWalk(const Chain& chain) : chain_(chain), known_(chain.layers.size()) {}

  /// Asks layers[first], layers[first + 1], … before layers[last] who answers for the run that
  /// begins at `offset`; the run is at least one byte and at most `length`.
  [[nodiscard]] Result<Owner> who_has(std::size_t first, std::size_t last, GuestOffset offset,
                                      std::uint64_t length);

  /// Fills `into` with what the guest reads at `offset` of layers[0]. Blocks.
  [[nodiscard]] Result<void> read(GuestOffset offset, std::span<std::byte> into);

  /// Where the run of zeros that begins at `offset` ends, as far as tables know, `end` at the
  /// latest; `offset` when it is not zeros.
  [[nodiscard]] Result<std::uint64_t> zeros_until(GuestOffset offset, std::uint64_t end);

  /// The run of one layer that begins at `offset`, inside the layer; at most `length` bytes.
  [[nodiscard]] Result<Extent> status(std::size_t layer, std::uint64_t offset,
                                      std::uint64_t length);

 private:
  /// The last answer of a layer, for the run that begins at `from`; no length: none.
  struct Known {
    std::uint64_t from = 0;
    Extent extent;
  };

  const Chain& chain_;
  std::vector<Known> known_;
};

}  // namespace blockpull::image
