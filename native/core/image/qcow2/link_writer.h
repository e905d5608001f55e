// SPDX-License-Identifier: Apache-2.0
//
// Makes clusters with data visible to the guest, in two halves with one flush between them:
//
//     prepare   raises refcounts of clusters that several states of the disk share; writes tables
//               that do not exist yet, whole, into clusters nothing refers to
//     (caller)  flush: data, refcounts and new tables are durable now
//     commit    entries of 8 or 16 bytes: into L2 tables that exist, and L1 entries of the new ones
//
// A crash tears no entry, because an entry never crosses a sector. Old or new, each is valid: the
// old one reads the backing chain, the new one reads the same bytes from the copy. commit()
// therefore needs no flush until the chain is cut.
//
// With snapshots, commit() writes what only snapshots reach, flushes, and then what the active
// state reaches. A refcount that a crash leaves too high then never is of a cluster that the active
// state reaches, and can be lowered: the copied flags of entries that only snapshots reach are not
// read.
//
// An entry that is in use is never overwritten; an extended one only gets what it leaves open
// (`extended_entry.h`). Thread rule: one thread at a time.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/image/qcow2/allocator.h"
#include "core/image/qcow2/table_links.h"

namespace blockpull::image::qcow2 {

class LinkWriter {
 public:
  /// All arguments must outlive this.
  LinkWriter(Qcow2Image& image, const DiskStates& states, Allocator& allocator)
      : image_(image), states_(states), allocator_(allocator) {}

  /// First half. `runs` must not overlap; they are sorted here, and stay with the caller, who needs
  /// them if this or the commit fails.
  [[nodiscard]] Result<void> prepare(LinkRuns& runs);

  /// Second half; to be called only after a successful flush.
  [[nodiscard]] Result<void> commit();

 private:
  /// Which of the tables to link.
  enum class Reach : std::uint8_t { kSnapshots, kActive };

  [[nodiscard]] Result<void> raise_refcounts();
  [[nodiscard]] Result<void> write_new_tables();
  [[nodiscard]] Result<void> link(Reach reach);
  [[nodiscard]] Result<void> link_in_place(const TableLinks& links, const LinkRun& run);
  [[nodiscard]] Result<void> hook(const TableLinks& links, Reach reach);
  /// Writes the entries of a run over `entries`, the old ones.
  [[nodiscard]] Result<void> set_entries(std::span<std::byte> entries, const LinkRun& run) const;
  [[nodiscard]] Result<void> set_extended(std::span<std::byte> entries, const LinkRun& run) const;
  [[nodiscard]] std::uint64_t entry_of(const LinkRun& run, std::uint64_t index) const;

  Qcow2Image& image_;
  const DiskStates& states_;
  Allocator& allocator_;
  /// For commit: tables that exist, and new ones, whose offset is that of the new table.
  std::vector<TableLinks> in_place_;
  std::vector<TableLinks> new_tables_;
};

}  // namespace blockpull::image::qcow2
