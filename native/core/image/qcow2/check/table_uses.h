// SPDX-License-Identifier: Apache-2.0
//
// Which L2 tables there are, and who uses each.
//
//     active L1      │ A │ B │ C │          A  active
//     snapshot 1     │ A │ B │   │    ──▶   A  snapshot 1       sorted by offset: each table is
//     snapshot 2     │ A │ D │   │          A  snapshot 2       read once, however many snapshots
//                                           B  active …         share it
//
// A use is 16 bytes, and an image with more than kMostUses of them is refused.

#pragma once

#include <cstdint>
#include <vector>

#include "core/base/walk_watch.h"
#include "core/image/qcow2/check/reference_counter.h"
#include "core/image/qcow2/check/stored_refcounts.h"
#include "core/image/qcow2/l1_table.h"
#include "core/image/qcow2/snapshots.h"

namespace blockpull::image::qcow2 {

struct TableUse {
  /// Of the L2 table, as the L1 entry states it; may be unaligned.
  std::uint64_t offset = 0;
  std::uint32_t l1_index = 0;
  bool is_active = false;
};

class TableUses {
 public:
  static constexpr std::uint64_t kMostUses = 4'194'304;

  TableUses(Qcow2Image& image, ReferenceCounter& counter, StoredRefcounts& stored,
            Findings& findings)
      : image_(image), counter_(counter), stored_(stored), findings_(findings) {}

  /// Counts an L1 table and every L2 table in it, and checks its entries.
  [[nodiscard]] Result<void> add_active(const WalkWatch& watch);
  [[nodiscard]] Result<void> add_snapshot(const Snapshot& snapshot, const WalkWatch& watch);

  /// Those that were added.
  [[nodiscard]] const std::vector<L1Table>& l1_tables() const { return l1_tables_; }

  /// All uses, those of one table together.
  [[nodiscard]] std::vector<TableUse> take_sorted();

 private:
  /// `place`: what states the L1 table.
  [[nodiscard]] Result<void> add_table(const L1Table& table, std::uint64_t place, bool is_active,
                                       const WalkWatch& watch);
  [[nodiscard]] Result<void> add_entry(std::uint64_t place, std::uint64_t entry,
                                       std::uint32_t index, bool is_active);

  Qcow2Image& image_;
  ReferenceCounter& counter_;
  StoredRefcounts& stored_;
  Findings& findings_;
  std::vector<L1Table> l1_tables_;
  std::vector<TableUse> uses_;
  /// Of all L1 tables so far.
  std::uint64_t l1_bytes_ = 0;
};

}  // namespace blockpull::image::qcow2
