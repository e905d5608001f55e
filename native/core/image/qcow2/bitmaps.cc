// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/bitmaps.h"

#include <set>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/base/text.h"

namespace blockpull::image::qcow2 {
namespace {

constexpr std::uint64_t kFixedBytes = 24;
constexpr std::uint8_t kDirtyTracking = 1;
constexpr std::uint32_t kMinGranularityBits = 9;
constexpr std::uint32_t kMaxGranularityBits = 31;
constexpr std::uint32_t kMaxNameBytes = 1023;
/// QEMU's bounds for the table of one bitmap, and for its bits.
constexpr std::uint32_t kMaxTableEntries = 0x8000000;
constexpr std::uint64_t kMaxBitmapBytes = 512 * limits::kMiB;

/// The fixed part of an entry.
struct Entry {
  Bitmap bitmap;
  std::uint32_t type = 0;
  std::uint32_t granularity_bits = 0;
  std::uint32_t name_bytes = 0;
  std::uint32_t extra_bytes = 0;

  [[nodiscard]] std::uint64_t bytes() const {
    return kFixedBytes + extra_bytes + std::uint64_t{name_bytes};
  }
};

Entry decode(std::span<const std::byte> fixed) {
  Entry entry;
  entry.bitmap.table_offset = be_at<std::uint64_t>(fixed, 0);
  entry.bitmap.table_entries = be_at<std::uint32_t>(fixed, 8);
  entry.bitmap.flags = be_at<std::uint32_t>(fixed, 12);
  entry.type = std::to_integer<std::uint32_t>(fixed[16]);
  entry.granularity_bits = std::to_integer<std::uint32_t>(fixed[17]);
  entry.name_bytes = be_at<std::uint16_t>(fixed, 18);
  entry.extra_bytes = be_at<std::uint32_t>(fixed, 20);
  return entry;
}

/// The clusters that the bits take. QEMU stores them in words of 64.
std::uint64_t clusters_of_bits(const Entry& entry, const Header& header) {
  const std::uint64_t bits =
      divide_up(header.virtual_size(), std::uint64_t{1} << entry.granularity_bits);
  return divide_up(divide_up(bits, 64) * 8, header.cluster_size());
}

/// The error in the entry, or empty. QEMU supports no extra data either.
std::string fault_of(const Entry& entry, const Header& header, std::uint64_t left) {
  const Bitmap& bitmap = entry.bitmap;
  if (entry.bytes() > left) {
    return text("has ", entry.bytes(), " bytes; the directory has ", left, " left");
  }
  if (entry.extra_bytes != 0 || entry.type != kDirtyTracking ||
      (bitmap.flags & ~bitmap_flag::kKnown) != 0) {
    return text("has type ", entry.type, ", flags ", Hex{bitmap.flags}, " and ", entry.extra_bytes,
                " bytes of extra data, which are not all known");
  }
  if (entry.granularity_bits < kMinGranularityBits ||
      entry.granularity_bits > kMaxGranularityBits) {
    return text("has a granularity of 2^", entry.granularity_bits, "; supported range is 2^",
                kMinGranularityBits, " to 2^", kMaxGranularityBits);
  }
  if (entry.name_bytes == 0 || entry.name_bytes > kMaxNameBytes) {
    return text("has a name of ", entry.name_bytes, " bytes; supported range is 1 to ",
                kMaxNameBytes);
  }
  if (bitmap.table_entries == 0 || bitmap.table_entries > kMaxTableEntries ||
      bitmap.table_offset == 0 || !is_aligned(bitmap.table_offset, header.cluster_size())) {
    return text("has its table of ", bitmap.table_entries, " entries at ", bitmap.table_offset,
                "; it must have 1 to ", kMaxTableEntries, " and begin at a multiple of ",
                header.cluster_size());
  }
  if (bitmap.table_entries > kMaxBitmapBytes / header.cluster_size()) {
    return text("has ", bitmap.table_entries, " clusters of ", header.cluster_size(),
                " bytes; the limit is ", kMaxBitmapBytes, " bytes");
  }
  const std::uint64_t clusters = clusters_of_bits(entry, header);
  if ((bitmap.flags & bitmap_flag::kInUse) == 0 && bitmap.table_entries != clusters) {
    return text("has ", bitmap.table_entries, " clusters; its disk takes ", clusters);
  }
  return {};
}

}  // namespace

Result<std::vector<Bitmap>> read_bitmaps(io::File& file, const Header& header) {
  std::vector<Bitmap> bitmaps;
  if (!header.bitmaps) {
    return bitmaps;
  }
  const auto corrupt = [&file](std::string message) {
    return make_error(ErrorKind::kImageCorrupt, std::move(message)).with_path(file.path());
  };
  const BitmapDirectory& directory = *header.bitmaps;
  BLOCKPULL_TRY(file_size, file.size());
  if (!lies_in_file(directory.offset, directory.bytes, file_size, header.cluster_size())) {
    return corrupt(text("bitmap directory of '", file.path(), "' has ", directory.bytes,
                        " bytes at ", directory.offset, "; the file ends at ", file_size));
  }
  std::vector<std::byte> bytes(directory.bytes);
  BLOCKPULL_CHECK(file.read_at(directory.offset, bytes));
  std::span<const std::byte> rest = bytes;
  std::set<std::string> names;
  for (std::uint32_t number = 0; number < directory.count; ++number) {
    std::string fault = rest.size() < kFixedBytes ? "is missing" : std::string();
    const Entry entry = fault.empty() ? decode(rest) : Entry();
    if (fault.empty()) {
      fault = fault_of(entry, header, rest.size());
    }
    if (!fault.empty()) {
      return corrupt(text("bitmap ", number, " of '", file.path(), "' ", fault));
    }
    Bitmap bitmap = entry.bitmap;
    bitmap.granularity = std::uint64_t{1} << entry.granularity_bits;
    bitmap.name = string_of(rest.subspan(kFixedBytes, entry.name_bytes));
    if (!names.insert(bitmap.name).second) {
      return corrupt(text("two bitmaps of '", file.path(), "' are named '", bitmap.name, "'"));
    }
    bitmaps.push_back(std::move(bitmap));
    rest = rest.subspan(std::min<std::uint64_t>(round_up(entry.bytes(), 8), rest.size()));
  }
  if (!rest.empty()) {
    return corrupt(text("bitmap directory of '", file.path(), "' has ", rest.size(),
                        " bytes behind its ", directory.count, " bitmaps"));
  }
  return bitmaps;
}

}  // namespace blockpull::image::qcow2
