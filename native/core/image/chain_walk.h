// SPDX-License-Identifier: Apache-2.0
//
// Walks a chain from the first guest byte towards the last: which layer has a run, and what the
// guest reads. The pull's planner calls `who_has`; digests read.
//
// A layer covers only its own virtual size. Past the end of a short layer, a read that reaches it
// gives zeros *at that layer* and does not continue to deeper, longer ones.
//
//     layer 1   │──────── nothing here ─────────│ data │      each layer's last answer is kept
//     layer 2   │data│  zero  │data│ …                        until the walk has passed its end
//                    ▲ position
//
// A short run in one layer does not cause new look-ups in the others. Every answer is kept until it
// is used up, so a whole walk reads each table entry once, however fragmented a layer is. Going
// back works, but reads the entries again.
//
// During the walk only its owner may change the chain, and only at offsets already passed. Thread
// rule: one thread at a time.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/image/chain.h"

namespace blockpull::image {

/// A run of guest bytes and the layer that has it.
struct Owner {
  /// Index in the chain; `last` of the call if no layer in [first, last) has the run.
  std::size_t layer = 0;
  /// The extent in that layer. kUnallocated if no layer in [first, last) has the run. Past the end
  /// of a short layer it is kZero.
  Extent extent;
};

class ChainWalk {
 public:
  explicit ChainWalk(const Chain& chain) : chain_(chain), known_(chain.layers.size()) {}

  /// Finds the first of layers[first], layers[first + 1], … before layers[last] that has the run at
  /// `offset`. The run is at least one byte and at most `length`.
  [[nodiscard]] Result<Owner> who_has(std::size_t first, std::size_t last, GuestOffset offset,
                                      std::uint64_t length);

  /// Fills `into` with the bytes that the guest reads at `offset` of layers[0]. Blocks.
  [[nodiscard]] Result<void> read(GuestOffset offset, std::span<std::byte> into);

  /// The end of the run of zeros that begins at `offset`, as far as the tables know, at most `end`;
  /// `offset` if there are none.
  [[nodiscard]] Result<std::uint64_t> zeros_until(GuestOffset offset, std::uint64_t end);

  /// The run of one layer that begins at `offset`, which is inside the layer; at most `length`
  /// bytes.
  [[nodiscard]] Result<Extent> status(std::size_t layer, std::uint64_t offset,
                                      std::uint64_t length);

 private:
  /// The last answer of a layer, for the run that begins at `from`; length 0 if there is none.
  struct Known {
    std::uint64_t from = 0;
    Extent extent;
  };

  const Chain& chain_;
  std::vector<Known> known_;
};

}  // namespace blockpull::image
