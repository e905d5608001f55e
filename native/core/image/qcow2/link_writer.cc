// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/link_writer.h"

#include <algorithm>
#include <utility>

#include "core/base/bytes.h"
#include "core/image/qcow2/extended_entry.h"
#include "core/image/qcow2/l2_entry.h"

namespace blockpull::image::qcow2 {

std::uint64_t LinkWriter::entry_of(const LinkRun& run, std::uint64_t index) const {
  if (run.zero) {
    return kZero;
  }
  const std::uint64_t offset = (run.host_cluster + index) * image_.cluster_size();
  return offset | (run.references == 1 ? kCopied : 0);
}

Result<void> LinkWriter::prepare(LinkRuns& runs) {
  // An earlier call may have failed halfway.
  in_place_.clear();
  new_tables_.clear();
  runs.sort();
  BLOCKPULL_TRY(links, distribute_links(image_, states_, runs));
  for (TableLinks& table : links) {
    (table.table.offset != 0 ? in_place_ : new_tables_).push_back(std::move(table));
  }
  if (states_.has_snapshots()) {
    BLOCKPULL_CHECK(raise_refcounts());
  }
  return new_tables_.empty() ? Result<void>() : write_new_tables();
}

/// A run that several tables get stands in each of them.
Result<void> LinkWriter::raise_refcounts() {
  for (const auto* tables : {&in_place_, &new_tables_}) {
    for (const TableLinks& links : *tables) {
      for (const LinkRun& run : links.runs) {
        if (run.takes_clusters() && run.references > 1) {
          // If we die here, the next open sees clusters that nothing refers to.
          BLOCKPULL_CHECK(allocator_.share({run.host_cluster, run.count}, run.references));
        }
      }
    }
  }
  return {};
}

Result<void> LinkWriter::write_new_tables() {
  BLOCKPULL_TRY(reserved, allocator_.reserve(new_tables_.size()));
  const std::uint64_t entry_bytes = image_.header().l2_entry_bytes();
  std::vector<std::byte> content(image_.cluster_size());
  std::uint64_t cluster = reserved.first;
  for (TableLinks& links : new_tables_) {
    const std::uint64_t first_cluster = states_.l1(0).first_cluster(links.l1_index);
    std::fill(content.begin(), content.end(), std::byte{0});
    for (const LinkRun& run : links.runs) {
      const std::uint64_t slot = run.guest_cluster - first_cluster;
      BLOCKPULL_CHECK(set_entries(
          std::span(content).subspan(slot * entry_bytes, run.count * entry_bytes), run));
    }
    if (links.table.states.size() > 1) {
      BLOCKPULL_CHECK(allocator_.share({cluster, 1}, links.table.states.size()));
    }
    links.table.offset = cluster * image_.cluster_size();
    BLOCKPULL_CHECK(image_.tables().store(links.table.offset, content));
    ++cluster;
  }
  return {};
}

Result<void> LinkWriter::commit() {
  if (states_.has_snapshots()) {
    BLOCKPULL_CHECK(link(Reach::kSnapshots));
    // If we die here, the next open sees some snapshots with their copies, and the active state
    // without.
    BLOCKPULL_CHECK(image_.file().sync());
  }
  BLOCKPULL_CHECK(link(Reach::kActive));
  in_place_.clear();
  new_tables_.clear();
  return {};
}

Result<void> LinkWriter::link(Reach reach) {
  for (const TableLinks& links : in_place_) {
    if (links.table.is_active() == (reach == Reach::kActive)) {
      for (const LinkRun& run : links.runs) {
        BLOCKPULL_CHECK(link_in_place(links, run));
      }
    }
  }
  for (const TableLinks& links : new_tables_) {
    BLOCKPULL_CHECK(hook(links, reach));
  }
  return {};
}

/// Writes the L1 entries of a new table. Those of snapshots have no copied flag: nothing reads it.
Result<void> LinkWriter::hook(const TableLinks& links, Reach reach) {
  for (const std::size_t state : links.table.states) {
    const bool is_active = state == 0;
    if (is_active != (reach == Reach::kActive)) {
      continue;
    }
    const bool is_copied = is_active && links.table.states.size() == 1;
    std::byte entry[kEntryBytes];
    store_be<std::uint64_t>(entry, links.table.offset | (is_copied ? kCopied : 0));
    BLOCKPULL_CHECK(image_.tables().store(states_.l1(state).entry_at(links.l1_index), entry));
  }
  return {};
}

Result<void> LinkWriter::link_in_place(const TableLinks& links, const LinkRun& run) {
  const std::uint64_t entry_bytes = image_.header().l2_entry_bytes();
  const std::uint64_t slot = run.guest_cluster - states_.l1(0).first_cluster(links.l1_index);
  const std::uint64_t at = links.table.offset + slot * entry_bytes;
  std::vector<std::byte> entries(run.count * entry_bytes);
  for (std::size_t done = 0; done < entries.size();) {
    BLOCKPULL_TRY(view, image_.tables().view(at + done));
    const std::size_t here = std::min(view.size(), entries.size() - done);
    std::copy_n(view.begin(), here, entries.begin() + static_cast<std::ptrdiff_t>(done));
    done += here;
  }
  BLOCKPULL_CHECK(set_entries(entries, run));
  return image_.tables().store(at, entries);
}

Result<void> LinkWriter::set_entries(std::span<std::byte> entries, const LinkRun& run) const {
  if (image_.header().has_extended_l2()) {
    return set_extended(entries, run);
  }
  for (std::uint64_t i = 0; i < run.count; ++i) {
    if (!is_absent(be_at<std::uint64_t>(entries, i * kEntryBytes))) {
      return allocated_meanwhile(image_.file().path(), run.guest_cluster + i);
    }
    put_be_at<std::uint64_t>(entries, i * kEntryBytes, entry_of(run, i));
  }
  return {};
}

Result<void> LinkWriter::set_extended(std::span<std::byte> entries, const LinkRun& run) const {
  for (std::uint64_t i = 0; i < run.count; ++i) {
    const auto place = entries.subspan(i * kExtendedEntryBytes, kExtendedEntryBytes);
    const auto entry = linked_entry(load_extended(place), run, i, image_.header().cluster_bits);
    if (!entry) {
      return allocated_meanwhile(image_.file().path(), run.guest_cluster + i);
    }
    store_extended(place, *entry);
  }
  return {};
}

}  // namespace blockpull::image::qcow2
