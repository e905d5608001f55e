// SPDX-License-Identifier: Apache-2.0

#include "core/image/chain_walk.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace blockpull::image {
namespace {

/// The rest of `extent` after its first `passed` bytes.
Extent rest_of(Extent extent, std::uint64_t passed) {
  extent.length -= passed;
  if (extent.status == Status::kData) {
    extent.host.value += passed;
  } else if (extent.status == Status::kCompressed) {
    extent.offset_in_cluster += passed;
  }
  return extent;
}

}  // namespace

Result<Extent> ChainWalk::status(std::size_t layer, std::uint64_t offset, std::uint64_t length) {
  Image& image = *chain_.layers[layer].image;
  Known& known = known_[layer];
  if (offset < known.from || offset - known.from >= known.extent.length) {
    BLOCKPULL_TRY(extent, image.status({offset}, image.virtual_size() - offset));
    known = {offset, extent};
  }
  Extent extent = rest_of(known.extent, offset - known.from);
  extent.length = std::min(extent.length, length);
  return extent;
}

Result<Owner> ChainWalk::who_has(std::size_t first, std::size_t last, GuestOffset offset,
                                 std::uint64_t length) {
  // How far all layers so far are unallocated.
  std::uint64_t covered = length;
  for (std::size_t layer = first; layer < last; ++layer) {
    const std::uint64_t size = chain_.layers[layer].image->virtual_size();
    if (offset.value >= size) {
      return Owner{layer, {Status::kZero, covered, {}, 0, 0}};
    }
    BLOCKPULL_TRY(extent, status(layer, offset.value, std::min(covered, size - offset.value)));
    if (extent.status != Status::kUnallocated) {
      return Owner{layer, extent};
    }
    covered = extent.length;
  }
  return Owner{last, {Status::kUnallocated, covered, {}, 0, 0}};
}

Result<void> ChainWalk::read(GuestOffset offset, std::span<std::byte> into) {
  while (!into.empty()) {
    BLOCKPULL_TRY(owner, who_has(0, chain_.layers.size(), offset, into.size()));
    const std::span<std::byte> part = into.first(owner.extent.length);
    if (owner.layer == chain_.layers.size()) {
      std::memset(part.data(), 0, part.size());
    } else {
      BLOCKPULL_CHECK(read_extent(*chain_.layers[owner.layer].image, owner.extent, part));
    }
    offset.value += part.size();
    into = into.subspan(part.size());
  }
  return {};
}

Result<std::uint64_t> ChainWalk::zeros_until(GuestOffset offset, std::uint64_t end) {
  while (offset.value < end) {
    BLOCKPULL_TRY(owner, who_has(0, chain_.layers.size(), offset, end - offset.value));
    const Status status = owner.extent.status;
    if (status != Status::kZero && status != Status::kUnallocated) {
      break;
    }
    offset.value += owner.extent.length;
  }
  return offset.value;
}

}  // namespace blockpull::image
