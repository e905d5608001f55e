// SPDX-License-Identifier: Apache-2.0
//
// Makes clusters with data visible to the guest, in two halves with one flush between them:
//
//     prepare   writes tables that do not exist yet, whole, into clusters nothing refers to
//     (caller)  flush: data, refcounts and new tables are durable now
//     commit    8-byte entries: into L2 tables that exist, and L1 entries of the new ones
//
// A crash tears no entry, because an entry never crosses a sector. Old or new, each is valid: the
// old one reads the backing chain, the new one reads the same bytes from the copy. commit()
// therefore needs no flush until the chain is cut.
//
// An entry that is in use is never overwritten. Thread rule: one thread at a time.

#pragma once

#include <cstdint>
#include <vector>

#include "core/base/result.h"
#include "core/image/qcow2/allocator.h"
#include "core/image/qcow2/link_runs.h"

namespace blockpull::image::qcow2 {

class LinkWriter {
 public:
  LinkWriter(Qcow2Image& image, Allocator& allocator) : image_(image), allocator_(allocator) {}

  /// First half. `runs` must not overlap; they are sorted here, and stay with the caller, who needs
  /// them if this or the commit fails.
  [[nodiscard]] Result<void> prepare(LinkRuns& runs);

  /// Second half; to be called only after a successful flush.
  [[nodiscard]] Result<void> commit();

 private:
  struct NewTable {
    std::uint64_t l1_index = 0;
    std::uint64_t cluster = 0;
  };

  [[nodiscard]] Result<void> split(const LinkRuns& runs);
  [[nodiscard]] Result<void> write_new_tables(const std::vector<std::vector<LinkRun>>& contents);
  [[nodiscard]] Result<void> link_in_place(const LinkRun& run);
  [[nodiscard]] std::uint64_t entry_of(const LinkRun& run, std::uint64_t index) const;

  Qcow2Image& image_;
  Allocator& allocator_;
  /// For commit: runs that each lie in one existing table, and tables to hook.
  std::vector<LinkRun> in_place_;
  std::vector<NewTable> new_tables_;
};

}  // namespace blockpull::image::qcow2
