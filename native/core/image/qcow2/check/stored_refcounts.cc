// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/check/stored_refcounts.h"

#include <algorithm>
#include <limits>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/image/qcow2/refcount_entry.h"

namespace blockpull::image::qcow2 {
StoredRefcounts::StoredRefcounts(Qcow2Image& image, std::uint64_t file_size)
    : image_(image),
      file_size_(file_size),
      blocks_(Refcounts(image).table_entries()),
      per_block_(image.header().refcounts_per_block()),
      order_(image.header().refcount_order) {}

Result<StoredRefcounts::Block> StoredRefcounts::block_at(std::uint64_t index) {
  if (index >= blocks_) {
    return Block{};
  }
  const std::uint64_t place = image_.header().refcount_table_offset + index * kEntryBytes;
  BLOCKPULL_TRY(entry, image_.tables().load(place));
  const std::uint64_t offset = entry & kRefcountTableOffsetMask;
  const bool is_aligned_block = is_aligned(offset, image_.cluster_size());
  const bool is_inside = offset < round_up(file_size_, image_.cluster_size());
  const BlockState state = (entry & ~kRefcountTableOffsetMask) != 0 ? BlockState::kReserved
                           : !is_aligned_block                      ? BlockState::kUnaligned
                           : offset == 0                            ? BlockState::kAbsent
                           : !is_inside                             ? BlockState::kOutside
                                                                    : BlockState::kThere;
  return Block{state, entry, is_aligned_block && is_inside ? offset : 0, is_aligned_block};
}

Result<StoredRefcounts::Slice> StoredRefcounts::slice_of(std::uint64_t cluster) {
  if (slice_.clusters.first <= cluster && cluster < slice_.clusters.end()) {
    return slice_;
  }
  const std::uint64_t index = cluster / per_block_;
  if (index >= blocks_) {
    const std::uint64_t first = blocks_ * per_block_;
    slice_ = {{first, std::numeric_limits<std::uint64_t>::max() - first}, {}, true};
    return slice_;
  }
  BLOCKPULL_TRY(block, block_at(index));
  slice_ = {{index * per_block_, per_block_}, {}, true};
  if (block.offset == 0) {
    slice_.is_known = block.is_known;
    return slice_;
  }
  // The entries of one slice; for 64 bits and clusters of 512 bytes these are 64.
  const std::uint64_t slice = std::min<std::uint64_t>(image_.cluster_size(), limits::kTableSlice);
  const std::uint64_t at = round_down(((cluster % per_block_) << order_) / 8, slice);
  BLOCKPULL_TRY(view, image_.tables().view(block.offset + at));
  bytes_.assign(view.begin(), view.begin() + static_cast<std::ptrdiff_t>(slice));
  slice_.clusters = {index * per_block_ + (at * 8 >> order_), slice * 8 >> order_};
  if (!all_zero(bytes_)) {
    slice_.entries = bytes_;
  }
  return slice_;
}

Result<std::optional<std::uint64_t>> StoredRefcounts::at(std::uint64_t cluster) {
  BLOCKPULL_TRY(row, slice_of(cluster));
  if (!row.is_known) {
    return std::optional<std::uint64_t>();
  }
  return std::optional(
      row.entries.empty() ? 0 : load_refcount(row.entries, order_, cluster - row.clusters.first));
}

}  // namespace blockpull::image::qcow2
