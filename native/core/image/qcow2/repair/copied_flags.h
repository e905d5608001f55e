// SPDX-License-Identifier: Apache-2.0
//
// Puts the copied flags (bit 63) of the active L1 and L2 tables right, for the refcounts that a
// repair gives. A flag is a promise that the cluster has one reference: a guest's write then goes
// to it in place. A flag too many therefore loses data of whoever shares the cluster; one too few
// costs a copy. So
//
//     clear    flags of clusters whose refcount will not be 1     before the refcounts change
//     set      flags of clusters whose refcount is 1              after they have changed, and only
//                                                                 if everything is understood
//
// Only flags change. A table that something else refers to as well is left alone: its bytes may be
// data.
//
// Thread rule: one thread at a time, and it may block.

#pragma once

#include <cstdint>
#include <span>

#include "core/base/walk_watch.h"
#include "core/image/qcow2/check/count_references.h"
#include "core/image/qcow2/repair/target_refcounts.h"

namespace blockpull::image::qcow2 {

class CopiedFlags {
 public:
  CopiedFlags(Qcow2Image& image, const CountedReferences& counted, TargetRefcounts& refcounts)
      : image_(image), counted_(counted), refcounts_(refcounts) {}

  /// Returns whether it has written anything. Nothing is durable before a sync.
  [[nodiscard]] Result<bool> clear(const WalkWatch& watch) { return mend(false, watch); }
  [[nodiscard]] Result<bool> set(const WalkWatch& watch) { return mend(true, watch); }

 private:
  /// A table, and how far its entries are apart.
  struct Table {
    std::uint64_t offset = 0;
    std::uint64_t entries = 0;
    std::uint64_t entry_bytes = 0;
    bool is_l1 = false;
  };

  [[nodiscard]] Result<bool> mend(bool sets, const WalkWatch& watch);
  [[nodiscard]] Result<bool> mend_table(const Table& table, bool sets);
  [[nodiscard]] Result<bool> mend_part(const Table& table, std::span<std::byte> part, bool sets);
  /// Whether an entry should have its flag.
  [[nodiscard]] Result<bool> wants_flag(const Table& table, std::uint64_t entry);
  /// Whether every reference to the clusters of a table is known to mean this table.
  [[nodiscard]] bool is_only(const Table& table, std::uint64_t references) const;

  Qcow2Image& image_;
  const CountedReferences& counted_;
  TargetRefcounts& refcounts_;
};

}  // namespace blockpull::image::qcow2
