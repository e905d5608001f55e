// SPDX-License-Identifier: Apache-2.0
//
// What the guest reads, synchronously: `who_has` finds the layer that answers for a range,
// `read_guest` gives the bytes. The pull's planner asks `who_has`; digests and tests read.
//
// A layer answers for its own virtual size only. Past the end of a short layer, a read that falls
// through to it gives zeros *at that layer* and does not go on to deeper, longer ones.

#pragma once

#include <cstddef>
#include <span>

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

/// Asks layers[first], layers[first + 1], … before layers[last] who answers for the run that begins
/// at `offset`; the run is at least one byte and at most `length`.
[[nodiscard]] Result<Owner> who_has(const Chain& chain, std::size_t first, std::size_t last,
                                    GuestOffset offset, std::uint64_t length);

/// Fills `into` with what the guest reads at `offset` of layers[0]. Blocks.
[[nodiscard]] Result<void> read_guest(const Chain& chain, GuestOffset offset,
                                      std::span<std::byte> into);

/// Where the run of zeros that begins at `offset` ends, as far as tables know; `offset` when it is
/// not zeros.
[[nodiscard]] Result<std::uint64_t> zeros_until(const Chain& chain, GuestOffset offset);

}  // namespace blockpull::image
