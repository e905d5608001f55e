// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/trailing_bytes.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/image/qcow2/compressed.h"
#include "core/image/qcow2/given_up_streams.h"
#include "core/image/qcow2/layout.h"
#include "core/io/file_content.h"

namespace blockpull::image::qcow2 {
namespace {

/// The end of a checkpoint record, followed by its length in 8 bytes.
constexpr std::string_view kCheckpointMagic = "GONDCPT1";
constexpr std::uint64_t kMagicEnd = 16;

Result<bool> ends_with_magic(io::File& file, std::uint64_t end) {
  if (end < kMagicEnd) {
    return false;
  }
  std::vector<std::byte> bytes(kCheckpointMagic.size());
  BLOCKPULL_CHECK(file.read_at(end - kMagicEnd, bytes));
  const auto magic = std::as_bytes(std::span(kCheckpointMagic));
  return std::equal(bytes.begin(), bytes.end(), magic.begin());
}

/// The entries behind one entry and its padding, which is zeros up to a multiple of 8. The last
/// entry may lack some of them. Other bytes in their place are not skipped.
std::span<const std::byte> behind(std::span<const std::byte> entries, std::uint64_t length) {
  const std::uint64_t padded = std::min<std::uint64_t>(round_up(length, 8), entries.size());
  const bool is_padding = all_zero(entries.subspan(length, padded - length));
  return entries.subspan(is_padding ? padded : length);
}

bool is_bitmap_directory(std::span<const std::byte> bytes, std::uint64_t cluster_size) {
  constexpr std::uint64_t kFixed = 24;
  while (bytes.size() >= kFixed) {
    const auto granularity = std::to_integer<unsigned>(bytes[17]);
    const std::uint64_t length =
        kFixed + be_at<std::uint16_t>(bytes, 18) + std::uint64_t{be_at<std::uint32_t>(bytes, 20)};
    const bool sound = is_aligned(be_at<std::uint64_t>(bytes, 0), cluster_size) &&
                       be_at<std::uint32_t>(bytes, 12) <= 7 && bytes[16] == std::byte{1} &&
                       granularity >= 9 && granularity <= 31 && length <= bytes.size();
    if (!sound) {
      return false;
    }
    bytes = behind(bytes, length);
  }
  return bytes.empty();
}

bool is_snapshot_table(std::span<const std::byte> bytes, std::uint64_t cluster_size) {
  constexpr std::uint64_t kFixed = 40;
  while (bytes.size() >= kFixed) {
    const std::uint64_t extra = be_at<std::uint32_t>(bytes, 36);
    const std::uint64_t length = kFixed + extra + be_at<std::uint16_t>(bytes, 12) +
                                 std::uint64_t{be_at<std::uint16_t>(bytes, 14)};
    const bool sound = is_aligned(be_at<std::uint64_t>(bytes, 0), cluster_size) &&
                       extra <= kMaxExtraBytes && length <= bytes.size();
    if (!sound) {
      return false;
    }
    bytes = behind(bytes, length);
  }
  return bytes.empty();
}

/// A table of clusters: an L1 table, or the table of a bitmap, in which bit 0 means "no cluster".
bool is_cluster_table(std::span<const std::byte> bytes, std::uint64_t cluster_size) {
  if (bytes.size() % kEntryBytes != 0) {
    return false;
  }
  for (std::uint64_t at = 0; at < bytes.size(); at += kEntryBytes) {
    const auto entry = be_at<std::uint64_t>(bytes, at);
    const std::uint64_t offset = entry & kOffsetMask;
    const bool is_ones = entry == 1;
    if (!is_ones && ((entry & kL1Reserved) != 0 || !is_aligned(offset, cluster_size))) {
      return false;
    }
  }
  return true;
}

/// Whether a part of a cluster, at the end of a file, is a table that QEMU has abandoned.
bool is_given_up_table(std::span<const std::byte> bytes, std::uint64_t cluster_size) {
  return is_bitmap_directory(bytes, cluster_size) || is_snapshot_table(bytes, cluster_size) ||
         is_cluster_table(bytes, cluster_size);
}

}  // namespace

Result<EndOfUse> end_of_use(Qcow2Image& image, const ReferenceMap& references) {
  const std::uint64_t end = references.plain_end_bytes();
  const CompressedCluster& last = references.last_compressed();
  const bool has_compressed = last.length != 0;
  if (!has_compressed || last.offset + last.length <= end) {
    return EndOfUse{end, has_compressed, references.zeroed_end_bytes()};
  }
  std::vector<std::byte> stream(last.length);
  std::vector<std::byte> cluster(image.cluster_size());
  BLOCKPULL_CHECK(image.file().read_at(last.offset, stream));
  const auto taken = inflate_cluster(image.header().compression, stream, cluster);
  // Damage in it is reported when it is read.
  const std::uint64_t last_end = last.offset + (taken.ok() ? *taken : last.length);
  return EndOfUse{std::max(end, last_end), true, references.zeroed_end_bytes()};
}

Result<TrailingOwner> owner_of_trailing(Qcow2Image& image, const EndOfUse& use) {
  io::File& file = image.file();
  const std::uint64_t cluster_size = image.cluster_size();
  BLOCKPULL_TRY(file_size, file.size());
  BLOCKPULL_TRY(first, io::first_nonzero(file, use.offset, file_size));
  if (first >= file_size) {
    return TrailingOwner::kNothing;
  }
  const bool ends_with_zeroed =
      file_size <= use.zeroed_end && is_aligned(file_size, cluster_size / kSubclusters);
  if (is_aligned(file_size, cluster_size) || ends_with_zeroed) {
    BLOCKPULL_TRY(has_magic, ends_with_magic(file, file_size));
    return has_magic ? TrailingOwner::kForeign : TrailingOwner::kLeftover;
  }
  const std::uint64_t last = round_down(file_size, cluster_size);
  if (last >= use.offset) {
    std::vector<std::byte> bytes(file_size - last);
    BLOCKPULL_CHECK(file.read_at(last, bytes));
    // A single word may also be the length at the end of somebody's record.
    const bool is_alone = first >= last;
    const bool may_be_table = bytes.size() > kEntryBytes || is_alone;
    if (!all_zero(bytes) && may_be_table && is_given_up_table(bytes, cluster_size)) {
      return TrailingOwner::kLeftover;
    }
  }
  if (!use.has_compressed) {
    return TrailingOwner::kForeign;
  }
  BLOCKPULL_TRY(are_streams, ends_with_given_up_streams(image, {use.offset, first, file_size}));
  return are_streams ? TrailingOwner::kLeftover : TrailingOwner::kForeign;
}

Result<std::optional<std::uint64_t>> begin_of_foreign(Qcow2Image& image,
                                                      const ReferenceMap& references) {
  BLOCKPULL_TRY(use, end_of_use(image, references));
  BLOCKPULL_TRY(owner, owner_of_trailing(image, use));
  return owner == TrailingOwner::kForeign ? std::optional(use.offset) : std::nullopt;
}

}  // namespace blockpull::image::qcow2
