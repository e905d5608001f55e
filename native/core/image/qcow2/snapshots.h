// SPDX-License-Identifier: Apache-2.0
//
// The table of internal snapshots. A layer with snapshots is read in its present state. As in QEMU,
// an image whose snapshot table cannot be right is refused as a whole.
//
//     │ l1_offset 8 │ l1_size 4 │ id_len 2 │ name_len 2 │ seconds 4 │ nanoseconds 4 │ vm_clock 8 │
//     │ vm_state 4 │ extra_len 4 │ extra: vm_state 8, disk_size 8, … │ id │ name │
//                                       40 bytes and more, each entry at a multiple of 8

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/image/qcow2/header.h"
#include "core/io/file.h"

namespace blockpull::image::qcow2 {

struct Snapshot {
  /// Where its entry is in the file.
  std::uint64_t offset = 0;
  std::uint64_t l1_offset = 0;
  std::uint32_t l1_entries = 0;
  std::uint32_t extra_bytes = 0;
  std::string id;
  std::string name;
  /// When it was taken: seconds since 1970.
  std::uint32_t seconds = 0;
  std::uint64_t vm_state_bytes = 0;
  /// The disk's size at that time; absent if the entry states none.
  std::optional<std::uint64_t> disk_size;
};

struct SnapshotTable {
  std::vector<Snapshot> snapshots;
  /// Without the padding behind the last entry.
  std::uint64_t bytes = 0;
};

/// kImageCorrupt as check_snapshot_table(). Holds the names, at most as long as the table.
[[nodiscard]] Result<SnapshotTable> read_snapshot_table(io::File& file, const Header& header);

/// kImageCorrupt names the first entry that is out of bounds. Reads the fixed part of one entry at
/// a time.
[[nodiscard]] Result<void> check_snapshot_table(io::File& file, const Header& header);

}  // namespace blockpull::image::qcow2
