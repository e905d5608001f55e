// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/snapshots.h"

#include <array>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/image/qcow2/layout.h"

namespace blockpull::image::qcow2 {
namespace {

constexpr std::uint64_t kFixedBytes = 40;
constexpr std::uint64_t kMaxTableBytes = 64 * limits::kMiB;

/// The fixed part of one entry, its offset, and its number.
struct Entry {
  std::uint32_t number = 0;
  std::uint64_t offset = 0;
  std::uint64_t l1_offset = 0;
  std::uint32_t l1_entries = 0;
  std::uint32_t extra_bytes = 0;
  /// The whole entry without the padding before the next one: the last entry of a file has none.
  std::uint64_t bytes = 0;
};

Entry decode(std::span<const std::byte> fixed, std::uint32_t number, std::uint64_t offset) {
  Entry entry;
  entry.number = number;
  entry.offset = offset;
  entry.l1_offset = be_at<std::uint64_t>(fixed, 0);
  entry.l1_entries = be_at<std::uint32_t>(fixed, 8);
  entry.extra_bytes = be_at<std::uint32_t>(fixed, 36);
  const std::uint64_t names =
      std::uint64_t{be_at<std::uint16_t>(fixed, 12)} + be_at<std::uint16_t>(fixed, 14);
  entry.bytes = kFixedBytes + entry.extra_bytes + names;
  return entry;
}

/// The error in the entry, or empty.
std::string fault_of(const Entry& entry, const Header& header, std::uint64_t file_size) {
  const std::uint64_t l1_bytes = std::uint64_t{entry.l1_entries} * kEntryBytes;
  if (entry.extra_bytes > kMaxExtraBytes) {
    return text("has ", entry.extra_bytes, " bytes of extra data; the limit is ", kMaxExtraBytes);
  }
  if (!lies_in_file(entry.offset, entry.bytes, file_size, header.cluster_size())) {
    return text("has ", entry.bytes, " bytes at ", entry.offset, "; the file ends at ", file_size);
  }
  if (l1_bytes > limits::kL1TableBytes) {
    return text("has an L1 table of ", l1_bytes, " bytes; the limit is ", limits::kL1TableBytes);
  }
  if (!is_aligned(entry.l1_offset, header.cluster_size()) ||
      !lies_in_file(entry.l1_offset, l1_bytes, file_size, header.cluster_size())) {
    return text("has its L1 table of ", l1_bytes, " bytes at ", entry.l1_offset,
                "; it must begin at a multiple of ", header.cluster_size(),
                " and lie in the file's ", file_size, " bytes");
  }
  return {};
}

}  // namespace

Result<void> check_snapshot_table(io::File& file, const Header& header) {
  BLOCKPULL_TRY(file_size, file.size());
  std::uint64_t offset = header.snapshots_offset;
  for (std::uint32_t number = 0; number < header.snapshot_count; ++number) {
    std::array<std::byte, kFixedBytes> fixed;
    BLOCKPULL_CHECK(file.read_at(offset, fixed));
    const Entry entry = decode(fixed, number, offset);
    std::string fault = fault_of(entry, header, file_size);
    offset += round_up(entry.bytes, 8);
    if (fault.empty() && offset - header.snapshots_offset > kMaxTableBytes) {
      fault = text("makes the table longer than its limit of ", kMaxTableBytes, " bytes");
    }
    if (!fault.empty()) {
      return make_error(ErrorKind::kImageCorrupt,
                        text("snapshot table entry ", number, " of '", file.path(), "' ", fault))
          .with_path(file.path());
    }
  }
  return {};
}

}  // namespace blockpull::image::qcow2
