// SPDX-License-Identifier: Apache-2.0

#include "core/image/guest_reader.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace blockpull::image {
namespace {

/// Inflates the cluster of `extent` and copies the part of it that `into` wants.
Result<void> read_compressed(Image& image, const Extent& extent, std::span<std::byte> into) {
  std::vector<std::byte> compressed(extent.compressed_length);
  std::vector<std::byte> cluster(image.cluster_size());
  BLOCKPULL_CHECK(image.file().read_at(extent.host.value, compressed));
  BLOCKPULL_CHECK(image.inflate(compressed, cluster));
  std::memcpy(into.data(), cluster.data() + extent.offset_in_cluster, into.size());
  return {};
}

Result<void> read_extent(Image& image, const Extent& extent, std::span<std::byte> into) {
  switch (extent.status) {
    case Status::kData:
      return image.file().read_at(extent.host.value, into);
    case Status::kCompressed:
      return read_compressed(image, extent, into);
    case Status::kZero:
    case Status::kUnallocated:
      break;
  }
  std::memset(into.data(), 0, into.size());
  return {};
}

}  // namespace

Result<Owner> who_has(const Chain& chain, std::size_t first, std::size_t last, GuestOffset offset,
                      std::uint64_t length) {
  // How far the answer "not here" of every layer so far reaches.
  std::uint64_t covered = length;
  for (std::size_t index = first; index < last; ++index) {
    Image& image = *chain.layers[index].image;
    const std::uint64_t size = image.virtual_size();
    Owner owner{index, {Status::kZero, covered, {}, 0, 0}};
    if (offset.value >= size) {
      return owner;
    }
    BLOCKPULL_TRY(extent, image.status(offset, std::min(covered, size - offset.value)));
    if (extent.status != Status::kUnallocated) {
      owner.extent = extent;
      return owner;
    }
    covered = extent.length;
  }
  return Owner{last, {Status::kUnallocated, covered, {}, 0, 0}};
}

Result<void> read_guest(const Chain& chain, GuestOffset offset, std::span<std::byte> into) {
  while (!into.empty()) {
    BLOCKPULL_TRY(owner, who_has(chain, 0, chain.layers.size(), offset, into.size()));
    const std::span<std::byte> part = into.first(owner.extent.length);
    if (owner.layer == chain.layers.size()) {
      std::memset(part.data(), 0, part.size());
    } else {
      BLOCKPULL_CHECK(read_extent(*chain.layers[owner.layer].image, owner.extent, part));
    }
    offset.value += part.size();
    into = into.subspan(part.size());
  }
  return {};
}

Result<std::uint64_t> zeros_until(const Chain& chain, GuestOffset offset) {
  const std::uint64_t size = chain.active().virtual_size();
  while (offset.value < size) {
    BLOCKPULL_TRY(owner, who_has(chain, 0, chain.layers.size(), offset, size - offset.value));
    const Status status = owner.extent.status;
    if (status != Status::kZero && status != Status::kUnallocated) {
      break;
    }
    offset.value += owner.extent.length;
  }
  return offset.value;
}

}  // namespace blockpull::image
