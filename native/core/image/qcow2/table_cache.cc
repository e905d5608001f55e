// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/table_cache.h"

#include <algorithm>
#include <cstring>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/limits.h"

namespace blockpull::image::qcow2 {

Result<TableCache::Slice*> TableCache::slice_at(std::uint64_t host_offset) {
  const std::uint64_t offset = round_down(host_offset, limits::kTableSlice);
  for (Slice& slice : slices_) {
    if (slice.offset == offset && !slice.bytes.empty()) {
      slice.used = ++uses_;
      return &slice;
    }
  }
  if (slices_.size() < limits::kSlicesPerLayer) {
    slices_.emplace_back();
  }
  Slice& slice = *std::min_element(slices_.begin(), slices_.end(),
                                   [](const Slice& a, const Slice& b) { return a.used < b.used; });
  slice.bytes.resize(limits::kTableSlice);
  slice.offset = offset;
  slice.used = ++uses_;
  if (Result<void> read = file_.read_at(offset, slice.bytes); !read.ok()) {
    forget(slice);
    return std::move(read).error();
  }
  return &slice;
}

void TableCache::forget(Slice& slice) {
  slice.bytes.clear();
  slice.used = 0;
}

Result<std::uint64_t> TableCache::load(std::uint64_t host_offset) {
  BLOCKPULL_TRY(bytes, view(host_offset));
  return be_at<std::uint64_t>(bytes, 0);
}

Result<std::span<const std::byte>> TableCache::view(std::uint64_t host_offset) {
  BLOCKPULL_TRY(slice, slice_at(host_offset));
  return std::span<const std::byte>(slice->bytes).subspan(host_offset - slice->offset);
}

Result<void> TableCache::store(std::uint64_t host_offset, std::span<const std::byte> bytes) {
  const Result<void> written = file_.write_at(host_offset, bytes);
  const std::uint64_t end = host_offset + bytes.size();
  for (Slice& slice : slices_) {
    const std::uint64_t slice_end = slice.offset + slice.bytes.size();
    if (slice_end <= host_offset || slice.offset >= end || slice.bytes.empty()) {
      continue;
    }
    if (!written.ok()) {
      forget(slice);
      continue;
    }
    const std::uint64_t from = std::max(host_offset, slice.offset);
    const std::uint64_t to = std::min(end, slice_end);
    std::memcpy(slice.bytes.data() + (from - slice.offset), bytes.data() + (from - host_offset),
                to - from);
  }
  return written;
}

}  // namespace blockpull::image::qcow2
