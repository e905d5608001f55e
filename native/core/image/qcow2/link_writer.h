// SPDX-License-Identifier: Apache-2.0
//
// Makes clusters that hold data visible to the guest, in two halves with one flush between them:
//
//     prepare   writes tables that do not exist yet, whole, into clusters nothing refers to
//     (caller)  flush: data, refcounts and new tables are durable now
//     commit    8-byte entries: into L2 tables that exist, and L1 entries of the new ones
//
// No entry is torn by a crash, because it never crosses a sector, and each of them is valid old or
// new: old reads the backing chain, new reads the same bytes from the copy. So commit needs no
// flush after it until the chain is cut.
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

  /// First half. `runs` do not overlap; they are sorted here, and stay with the caller, who needs
  /// them where this or the commit fails.
  [[nodiscard]] Result<void> prepare(LinkRuns& runs);

  /// Second half; only after a flush that succeeded.
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
  /// Waiting for commit: runs that each lie in one existing table, and tables to hook.
  std::vector<LinkRun> in_place_;
  std::vector<NewTable> new_tables_;
};

}  // namespace blockpull::image::qcow2
