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

/// What the extra data states in version 3; both as 8 bytes.
constexpr std::uint64_t kVmStateInExtra = 0;
constexpr std::uint64_t kDiskSizeInExtra = 8;

/// The fixed part of one entry, and its offset.
struct Entry {
  std::uint64_t offset = 0;
  std::uint64_t l1_offset = 0;
  std::uint32_t l1_entries = 0;
  std::uint16_t id_bytes = 0;
  std::uint16_t name_bytes = 0;
  std::uint32_t seconds = 0;
  std::uint32_t vm_state_bytes = 0;
  std::uint32_t extra_bytes = 0;
  /// The whole entry without the padding before the next one: the last entry of a file has none.
  std::uint64_t bytes = 0;
};

Entry decode(std::span<const std::byte> fixed, std::uint64_t offset) {
  Entry entry;
  entry.offset = offset;
  entry.l1_offset = be_at<std::uint64_t>(fixed, 0);
  entry.l1_entries = be_at<std::uint32_t>(fixed, 8);
  entry.id_bytes = be_at<std::uint16_t>(fixed, 12);
  entry.name_bytes = be_at<std::uint16_t>(fixed, 14);
  entry.seconds = be_at<std::uint32_t>(fixed, 16);
  entry.vm_state_bytes = be_at<std::uint32_t>(fixed, 32);
  entry.extra_bytes = be_at<std::uint32_t>(fixed, 36);
  entry.bytes = kFixedBytes + entry.extra_bytes + entry.id_bytes + std::uint64_t{entry.name_bytes};
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

/// Calls `visit(entry)` for each entry that is in bounds. Returns the bytes of the table.
template <typename Visit>
Result<std::uint64_t> walk(io::File& file, const Header& header, const Visit& visit) {
  BLOCKPULL_TRY(file_size, file.size());
  std::uint64_t offset = header.snapshots_offset;
  std::uint64_t end = offset;
  for (std::uint32_t number = 0; number < header.snapshot_count; ++number) {
    std::array<std::byte, kFixedBytes> fixed;
    BLOCKPULL_CHECK(file.read_at(offset, fixed));
    const Entry entry = decode(fixed, offset);
    std::string fault = fault_of(entry, header, file_size);
    end = offset + entry.bytes;
    offset += round_up(entry.bytes, 8);
    if (fault.empty() && offset - header.snapshots_offset > kMaxTableBytes) {
      fault = text("makes the table longer than its limit of ", kMaxTableBytes, " bytes");
    }
    if (!fault.empty()) {
      return make_error(ErrorKind::kImageCorrupt,
                        text("snapshot table entry ", number, " of '", file.path(), "' ", fault))
          .with_path(file.path());
    }
    BLOCKPULL_CHECK(visit(entry));
  }
  return end - header.snapshots_offset;
}

Result<Snapshot> read_snapshot(io::File& file, const Entry& entry) {
  std::vector<std::byte> rest(entry.bytes - kFixedBytes);
  BLOCKPULL_CHECK(file.read_at(entry.offset + kFixedBytes, rest));
  const std::span<const std::byte> bytes = rest;
  Snapshot snapshot;
  snapshot.offset = entry.offset;
  snapshot.l1_offset = entry.l1_offset;
  snapshot.l1_entries = entry.l1_entries;
  snapshot.extra_bytes = entry.extra_bytes;
  snapshot.id = string_of(bytes.subspan(entry.extra_bytes, entry.id_bytes));
  snapshot.name = string_of(bytes.subspan(entry.extra_bytes + entry.id_bytes));
  snapshot.seconds = entry.seconds;
  snapshot.vm_state_bytes = entry.extra_bytes >= kVmStateInExtra + 8
                                ? be_at<std::uint64_t>(bytes, kVmStateInExtra)
                                : entry.vm_state_bytes;
  if (entry.extra_bytes >= kDiskSizeInExtra + 8) {
    snapshot.disk_size = be_at<std::uint64_t>(bytes, kDiskSizeInExtra);
  }
  return snapshot;
}

}  // namespace

Result<SnapshotTable> read_snapshot_table(io::File& file, const Header& header) {
  SnapshotTable table;
  BLOCKPULL_TRY(bytes, walk(file, header, [&](const Entry& entry) -> Result<void> {
                  BLOCKPULL_TRY(snapshot, read_snapshot(file, entry));
                  table.snapshots.push_back(std::move(snapshot));
                  return {};
                }));
  table.bytes = bytes;
  return table;
}

Result<void> check_snapshot_table(io::File& file, const Header& header) {
  BLOCKPULL_CHECK(walk(file, header, [](const Entry&) { return Result<void>(); }));
  return {};
}

}  // namespace blockpull::image::qcow2
