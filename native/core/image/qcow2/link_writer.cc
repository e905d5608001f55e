// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/link_writer.h"

#include <algorithm>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/text.h"

namespace blockpull::image::qcow2 {

std::uint64_t LinkWriter::entry_of(const LinkRun& run, std::uint64_t index) const {
  return run.zero ? kZero : ((run.host_cluster + index) * image_.cluster_size()) | kCopied;
}

Result<void> LinkWriter::prepare(LinkRuns& runs) {
  // An earlier call may have failed halfway.
  in_place_.clear();
  new_tables_.clear();
  runs.sort();
  return split(runs);
}

/// Cuts runs at the boundaries of L2 tables, and separates those whose table exists from those that
/// need a new one.
Result<void> LinkWriter::split(const LinkRuns& runs) {
  const L1Table l1 = image_.l1_table();
  std::vector<std::vector<LinkRun>> contents;
  for (LinkRun left : runs) {
    while (left.count > 0) {
      const std::uint64_t l1_index = l1.index_of(left.guest_cluster);
      LinkRun part = left;
      part.count = std::min(left.count, l1.first_cluster(l1_index + 1) - left.guest_cluster);
      BLOCKPULL_TRY(l1_entry, image_.tables().load(l1.entry_at(l1_index)));
      if (l1_entry != 0) {
        in_place_.push_back(part);
      } else {
        if (new_tables_.empty() || new_tables_.back().l1_index != l1_index) {
          new_tables_.push_back({l1_index, 0});
          contents.emplace_back();
        }
        contents.back().push_back(part);
      }
      left.guest_cluster += part.count;
      left.host_cluster += part.count;
      left.count -= part.count;
    }
  }
  return new_tables_.empty() ? Result<void>() : write_new_tables(contents);
}

Result<void> LinkWriter::write_new_tables(const std::vector<std::vector<LinkRun>>& contents) {
  BLOCKPULL_TRY(reserved, allocator_.reserve(new_tables_.size()));
  std::vector<std::byte> table(image_.cluster_size());
  for (std::size_t i = 0; i < new_tables_.size(); ++i) {
    const std::uint64_t first_cluster = image_.l1_table().first_cluster(new_tables_[i].l1_index);
    std::fill(table.begin(), table.end(), std::byte{0});
    for (const LinkRun& run : contents[i]) {
      for (std::uint64_t k = 0; k < run.count; ++k) {
        const std::uint64_t slot = run.guest_cluster + k - first_cluster;
        put_be_at<std::uint64_t>(table, slot * kEntryBytes, entry_of(run, k));
      }
    }
    new_tables_[i].cluster = reserved.first + i;
    BLOCKPULL_CHECK(image_.tables().store(new_tables_[i].cluster * image_.cluster_size(), table));
  }
  return {};
}

Result<void> LinkWriter::commit() {
  for (const LinkRun& run : std::exchange(in_place_, {})) {
    BLOCKPULL_CHECK(link_in_place(run));
  }
  for (const NewTable& table : std::exchange(new_tables_, {})) {
    std::byte entry[kEntryBytes];
    store_be<std::uint64_t>(entry, (table.cluster * image_.cluster_size()) | kCopied);
    BLOCKPULL_CHECK(image_.tables().store(image_.l1_table().entry_at(table.l1_index), entry));
  }
  return {};
}

Result<void> LinkWriter::link_in_place(const LinkRun& run) {
  const L1Table l1 = image_.l1_table();
  const std::uint64_t l1_index = l1.index_of(run.guest_cluster);
  BLOCKPULL_TRY(l1_entry, image_.tables().load(l1.entry_at(l1_index)));
  const std::uint64_t slot = run.guest_cluster - l1.first_cluster(l1_index);
  const std::uint64_t at = (l1_entry & kOffsetMask) + slot * kEntryBytes;
  std::vector<std::byte> entries(run.count * kEntryBytes);
  for (std::uint64_t i = 0; i < run.count; ++i) {
    BLOCKPULL_TRY(old, image_.tables().load(at + i * kEntryBytes));
    if (old != 0) {
      return make_error(ErrorKind::kImageCorrupt,
                        text("guest cluster ", run.guest_cluster + i, " of '", image_.file().path(),
                             "' was allocated by another program during the pull; its entry was "
                             "not overwritten, so find out which program writes to the image"))
          .with_path(image_.file().path());
    }
    put_be_at<std::uint64_t>(entries, i * kEntryBytes, entry_of(run, i));
  }
  return image_.tables().store(at, entries);
}

}  // namespace blockpull::image::qcow2
