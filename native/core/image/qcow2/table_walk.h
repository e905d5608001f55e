// SPDX-License-Identifier: Apache-2.0
//
// The run of guest bytes that a stretch of an L2 table describes. Pure functions over the table's
// bytes: no file, no cache, so that every combination of entries can be tested, and fuzzed, as a
// few bytes.
//
//     entries   │ data at 5 │ data at 6 │ data at 7 │ zero │ …
//               └─ one run: data at 5, 3 clusters ──┘
//
// A run continues over entries with the same meaning; for data, they must also be contiguous in the
// file. A compressed cluster is a run of its own. A damaged entry is a fault only if the run would
// begin there. Otherwise it ends the run, so that sound data before it can still be read.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/image/extent.h"
#include "core/image/qcow2/header.h"

namespace blockpull::image::qcow2 {

/// The parts of the header that decide how entries are read.
struct TableShape {
  std::uint32_t cluster_bits = 0;
  /// Bit 0 of an entry means "reads as zeros" in version 3; in version 2 it must not be set.
  std::uint32_t version = 3;
  /// Entries of 16 bytes, the second half a bitmap; bit 0 of the first half means nothing then.
  bool has_subclusters = false;

  [[nodiscard]] std::uint64_t cluster_size() const { return std::uint64_t{1} << cluster_bits; }
};

[[nodiscard]] inline TableShape shape_of(const Header& header) {
  return {header.cluster_bits, header.version, header.has_extended_l2()};
}

enum class EntryFault : std::uint8_t {
  kNone,
  /// The host offset is not a multiple of the cluster size.
  kUnaligned,
  /// Bit 0 in a version that has no zero clusters.
  kZeroInVersion2,
  /// A compressed cluster above 2^56.
  kCompressedTooFar,
  /// A subcluster that is both allocated and zero, or allocated in a cluster that is not.
  kBitmap,
};

/// The fault as the second half of a sentence.
[[nodiscard]] const char* fault_text(EntryFault fault);

struct TableRun {
  Extent extent;
  EntryFault fault = EntryFault::kNone;
};

/// The run that begins `offset_in_cluster` bytes into the cluster of the first of `entries` and is
/// at most `length` bytes long. `entries` holds one entry or more, whole ones.
[[nodiscard]] TableRun walk_entries(const TableShape& shape, std::span<const std::byte> entries,
                                    std::uint64_t offset_in_cluster, std::uint64_t length);

/// The status of each of `entries`, of 8 bytes, as far as `into` has room. Returns how many it
/// wrote. The row ends at an entry that walk_entries() calls damaged, and at a compressed cluster
/// that begins at `file_size` or behind it.
[[nodiscard]] std::size_t classify_entries(const TableShape& shape,
                                           std::span<const std::byte> entries,
                                           std::uint64_t file_size, std::span<Status> into);

}  // namespace blockpull::image::qcow2
