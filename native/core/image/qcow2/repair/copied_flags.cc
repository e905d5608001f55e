// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/repair/copied_flags.h"

#include <algorithm>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/io/file_content.h"

namespace blockpull::image::qcow2 {

Result<bool> CopiedFlags::mend(bool sets, const WalkWatch& watch) {
  const Header& header = image_.header();
  const L1Table l1 = image_.l1_table();
  const Table active{l1.offset(), l1.entries(), kEntryBytes, true};
  bool has_changed = false;
  if (is_only(active, 1)) {
    BLOCKPULL_TRY(changed, mend_table(active, sets));
    has_changed = changed;
  }
  for (const L2Table& found : counted_.tables) {
    BLOCKPULL_CHECK(watch.check());
    const Table table{found.offset, header.l2_entries(), header.l2_entry_bytes(), false};
    if (found.active_uses > 0 && is_only(table, found.uses)) {
      BLOCKPULL_TRY(changed, mend_table(table, sets));
      has_changed |= changed;
    }
  }
  return has_changed;
}

bool CopiedFlags::is_only(const Table& table, std::uint64_t references) const {
  const std::uint64_t cluster_size = image_.cluster_size();
  if (table.offset == 0 || !is_aligned(table.offset, cluster_size)) {
    return false;
  }
  const std::uint64_t end =
      divide_up(table.offset + table.entries * table.entry_bytes, cluster_size);
  for (std::uint64_t cluster = table.offset / cluster_size; cluster < end; ++cluster) {
    if (counted_.map.count(cluster) != references) {
      return false;
    }
  }
  return true;
}

Result<bool> CopiedFlags::mend_table(const Table& table, bool sets) {
  BLOCKPULL_TRY(file_size, image_.file().size());
  const std::uint64_t end = table.offset + table.entries * table.entry_bytes;
  bool has_changed = false;
  const auto take = [&](std::uint64_t offset, std::span<std::byte> part) -> Result<bool> {
    BLOCKPULL_TRY(changed, mend_part(table, part, sets));
    if (changed) {
      BLOCKPULL_CHECK(image_.tables().store(offset, part));
      has_changed = true;
    }
    return true;
  };
  BLOCKPULL_CHECK(io::read_content(image_.file(), table.offset, std::min(end, file_size), take));
  return has_changed;
}

Result<bool> CopiedFlags::mend_part(const Table& table, std::span<std::byte> part, bool sets) {
  bool has_changed = false;
  for (std::uint64_t at = 0; at + table.entry_bytes <= part.size(); at += table.entry_bytes) {
    const auto entry = be_at<std::uint64_t>(part, at);
    BLOCKPULL_TRY(wanted, wants_flag(table, entry));
    if (wanted == sets && wanted != ((entry & kCopied) != 0)) {
      put_be_at<std::uint64_t>(part, at, entry ^ kCopied);
      has_changed = true;
    }
  }
  return has_changed;
}

Result<bool> CopiedFlags::wants_flag(const Table& table, std::uint64_t entry) {
  if (!table.is_l1 && (entry & kCompressed) != 0) {
    return false;
  }
  const std::uint64_t offset = entry & kOffsetMask;
  if (offset == 0 || !is_aligned(offset, image_.cluster_size())) {
    return (entry & kCopied) != 0;
  }
  if (!table.is_l1 && image_.header().has_data_file()) {
    return true;
  }
  BLOCKPULL_TRY(refcount, refcounts_.at(offset / image_.cluster_size()));
  return refcount == 1;
}

}  // namespace blockpull::image::qcow2
