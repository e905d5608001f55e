// SPDX-License-Identifier: Apache-2.0
//
// One L1 table: its place, and which entry covers a guest cluster. The active table is one of
// several; each internal snapshot has its own.
//
//     offset      │ entry 0 │ entry 1 │ …     8 bytes each: offset of the L2 table, 0: none
//     guest        c0 … c8191  c8192 …        the clusters that an L2 table has entries for
//
// It holds no entries: `table_cache.h` reads them.

#pragma once

#include <cstdint>

#include "core/image/qcow2/header.h"
#include "core/image/qcow2/layout.h"

namespace blockpull::image::qcow2 {

class L1Table {
 public:
  /// The table that the header states.
  [[nodiscard]] static L1Table active(const Header& header) {
    return {header.l1_offset, header.l1_entries, header.l2_entries()};
  }

  /// Each entry covers `span_clusters` guest clusters.
  L1Table(std::uint64_t offset, std::uint64_t entries, std::uint64_t span_clusters)
      : offset_(offset), entries_(entries), span_clusters_(span_clusters) {}

  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] std::uint64_t entries() const { return entries_; }
  [[nodiscard]] std::uint64_t bytes() const { return entries_ * kEntryBytes; }

  /// Offset of entry `index` in the file.
  [[nodiscard]] std::uint64_t entry_at(std::uint64_t index) const {
    return offset_ + index * kEntryBytes;
  }

  /// The entry that covers a guest cluster, and the first cluster that an entry covers.
  [[nodiscard]] std::uint64_t index_of(std::uint64_t guest_cluster) const {
    return guest_cluster / span_clusters_;
  }
  [[nodiscard]] std::uint64_t first_cluster(std::uint64_t index) const {
    return index * span_clusters_;
  }

 private:
  std::uint64_t offset_;
  std::uint64_t entries_;
  std::uint64_t span_clusters_;
};

}  // namespace blockpull::image::qcow2
