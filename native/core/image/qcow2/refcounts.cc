// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/refcounts.h"

#include <algorithm>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/image/qcow2/refcount_entry.h"

namespace blockpull::image::qcow2 {

std::uint64_t Refcounts::table_entries() const {
  const Header& header = image_.header();
  return header.refcount_table_clusters * header.cluster_size() / kEntryBytes;
}

Result<std::uint64_t> Refcounts::block_offset(std::uint64_t index) {
  if (index >= table_entries()) {
    return std::uint64_t{0};
  }
  const Header& header = image_.header();
  BLOCKPULL_TRY(entry, image_.tables().load(header.refcount_table_offset + index * kEntryBytes));
  const std::uint64_t offset = entry & kRefcountTableOffsetMask;
  if (entry == 0) {
    return entry;
  }
  BLOCKPULL_TRY(file_size, image_.file().size());
  const bool sound = offset == entry && is_aligned(offset, header.cluster_size()) &&
                     lies_in_file(offset, header.cluster_size(), file_size, header.cluster_size());
  if (!sound) {
    return make_error(ErrorKind::kImageCorrupt,
                      text("refcount table entry ", index, " of '", image_.file().path(), "' is ",
                           Hex{entry},
                           ", which is not a cluster of the file; run 'blockpull check' on it"))
        .with_path(image_.file().path());
  }
  return offset;
}

Result<void> Refcounts::set(ClusterRange range, std::uint64_t value) {
  while (range.count > 0) {
    const std::uint64_t block = range.first / per_block();
    const std::uint64_t in_block = range.first % per_block();
    const std::uint64_t count = std::min(range.count, per_block() - in_block);
    BLOCKPULL_CHECK(set_in_block(block, {in_block, count}, value));
    range = {range.first + count, range.count - count};
  }
  return {};
}

Result<void> Refcounts::set_in_block(std::uint64_t block, ClusterRange entries,
                                     std::uint64_t value) {
  BLOCKPULL_TRY(offset, block_offset(block));
  if (offset == 0) {
    return make_error(ErrorKind::kImageCorrupt,
                      text("refcount block ", block, " of '", image_.file().path(),
                           "' is missing; run 'blockpull check' on it"))
        .with_path(image_.file().path());
  }
  const std::uint32_t order = image_.header().refcount_order;
  // The bytes that hold these entries. Other entries in the first and last byte do not change.
  const std::uint64_t bits = image_.header().refcount_bits();
  const std::uint64_t first_byte = entries.first * bits / 8;
  const std::uint64_t end_byte = divide_up(entries.end() * bits, 8);
  for (std::uint64_t at = first_byte; at < end_byte;) {
    BLOCKPULL_TRY(view, image_.tables().view(offset + at));
    const auto part = view.first(std::min<std::uint64_t>(view.size(), end_byte - at));
    std::vector<std::byte> bytes(part.begin(), part.end());
    const std::uint64_t first_here = at * 8 / bits;
    const std::uint64_t begin = std::max(entries.first, first_here);
    const std::uint64_t end = std::min(entries.end(), (at + bytes.size()) * 8 / bits);
    for (std::uint64_t entry = begin; entry < end; ++entry) {
      store_refcount(bytes, order, entry - first_here, value);
    }
    BLOCKPULL_CHECK(image_.tables().store(offset + at, bytes));
    at += bytes.size();
  }
  return {};
}

Result<void> Refcounts::switch_table(std::uint64_t offset, std::uint64_t clusters) {
  std::byte switched[12];
  put_be_at<std::uint64_t>(switched, 0, offset);
  put_be_at<std::uint32_t>(switched, 8, static_cast<std::uint32_t>(clusters));
  BLOCKPULL_CHECK(image_.tables().store(field::kRefcountTableOffset, switched));
  BLOCKPULL_CHECK(image_.file().sync());
  image_.mutable_header().refcount_table_offset = offset;
  image_.mutable_header().refcount_table_clusters = static_cast<std::uint32_t>(clusters);
  return {};
}

Error Refcounts::table_too_large() const {
  const std::string& path = image_.file().path();
  return make_error(
             ErrorKind::kFeatureUnsupported,
             text("refcount table of '", path, "' would exceed ", limits::kRefcountTableBytes,
                  " bytes, the most that QEMU accepts; convert the image to larger clusters"))
      .with_path(path);
}

Result<void> Refcounts::visit_block(std::uint64_t index, const Visit& visit) {
  BLOCKPULL_TRY(offset, block_offset(index));
  if (offset == 0) {
    return {};
  }
  const std::uint64_t bits = image_.header().refcount_bits();
  const std::uint64_t cluster_size = image_.header().cluster_size();
  for (std::uint64_t at = 0; at < cluster_size;) {
    BLOCKPULL_TRY(view, image_.tables().view(offset + at));
    const auto part = view.first(std::min<std::uint64_t>(view.size(), cluster_size - at));
    // A copy, since the visitor may reuse the slice.
    const std::vector<std::byte> bytes(part.begin(), part.end());
    BLOCKPULL_CHECK(visit({index * per_block() + at * 8 / bits, bytes.size() * 8 / bits}, bytes));
    at += bytes.size();
  }
  return {};
}

}  // namespace blockpull::image::qcow2
