// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/check/table_uses.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/text.h"
#include "core/io/file_content.h"

namespace blockpull::image::qcow2 {

Result<void> TableUses::add_active(const WalkWatch& watch) {
  return add_table(image_.l1_table(), field::kL1TableOffset, true, watch);
}

Result<void> TableUses::add_snapshot(const Snapshot& snapshot, const WalkWatch& watch) {
  const L1Table table(snapshot.l1_offset, snapshot.l1_entries, image_.header().l2_entries());
  return add_table(table, snapshot.offset, false, watch);
}

Result<void> TableUses::add_table(const L1Table& table, std::uint64_t place, bool is_active,
                                  const WalkWatch& watch) {
  const std::string& path = image_.file().path();
  BLOCKPULL_CHECK(watch.check());
  BLOCKPULL_CHECK(counter_.add({table.offset(), table.bytes(), "an L1 table", place}));
  BLOCKPULL_TRY(file_size, image_.file().size());
  l1_tables_.push_back(table);
  l1_bytes_ += table.bytes();
  if (l1_bytes_ > file_size + image_.cluster_size()) {
    return make_error(ErrorKind::kImageCorrupt,
                      text("L1 tables of '", path, "' have ", l1_bytes_,
                           " bytes in all, more than the file; they overlap"))
        .with_path(path);
  }
  const auto take = [&](std::uint64_t offset, std::span<const std::byte> part) -> Result<bool> {
    BLOCKPULL_CHECK(watch.check());
    for (std::uint64_t at = 0; at + kEntryBytes <= part.size(); at += kEntryBytes) {
      const auto entry = be_at<std::uint64_t>(part, at);
      if (entry != 0) {
        const auto index = static_cast<std::uint32_t>((offset + at - table.offset()) / kEntryBytes);
        BLOCKPULL_CHECK(add_entry(offset + at, entry, index, is_active));
      }
    }
    return true;
  };
  const std::uint64_t end = std::min(table.offset() + table.bytes(), file_size);
  BLOCKPULL_CHECK(io::read_content(image_.file(), table.offset(), end, take));
  return {};
}

Result<void> TableUses::add_entry(std::uint64_t place, std::uint64_t entry, std::uint32_t index,
                                  bool is_active) {
  const std::uint64_t cluster_size = image_.cluster_size();
  const std::uint64_t offset = entry & kOffsetMask;
  if ((entry & kL1Reserved) != 0) {
    findings_.add(FindingCode::kL1Entry, place, 1, [&] {
      return text("L1 entry ", index, " is ", Hex{entry}, ", with reserved bits set");
    });
  }
  BLOCKPULL_CHECK(counter_.add({offset, cluster_size, "an L2 table", place}));
  if (!is_aligned(offset, cluster_size)) {
    findings_.add(FindingCode::kL1Entry, place, 1, [&] {
      return text("L1 entry ", index, " is ", Hex{entry}, ": no L2 table can begin there");
    });
  }
  if (is_active && offset != 0) {
    BLOCKPULL_TRY(refcount, stored_.at(offset / cluster_size));
    if (refcount && !is_copied_right(entry, *refcount)) {
      findings_.add(FindingCode::kCopiedFlag, place, 1, [&] {
        return text("L1 entry ", index, " is ", Hex{entry},
                    ", and the refcount of its L2 table is ", *refcount,
                    ": its copied flag (bit 63) is wrong");
      });
    }
  }
  if (uses_.size() == kMostUses) {
    return make_error(ErrorKind::kFeatureUnsupported,
                      text("image '", image_.file().path(), "' has more than ", kMostUses,
                           " L1 entries in use, snapshots included, which is not supported"))
        .with_path(image_.file().path());
  }
  uses_.push_back({offset, index, is_active});
  return {};
}

std::vector<TableUse> TableUses::take_sorted() {
  std::sort(uses_.begin(), uses_.end(), [](const TableUse& a, const TableUse& b) {
    return std::tie(a.offset, a.l1_index) < std::tie(b.offset, b.l1_index);
  });
  return std::exchange(uses_, {});
}

}  // namespace blockpull::image::qcow2
