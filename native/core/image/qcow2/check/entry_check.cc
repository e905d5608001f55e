// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/check/entry_check.h"

#include <algorithm>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/text.h"
#include "core/image/qcow2/subclusters.h"

namespace blockpull::image::qcow2 {

void EntryCheck::found(FindingCode code, const L2Table& table, const Entry& entry,
                       const char* what) {
  findings_.add(code, entry.place, table.uses, [&] {
    return text("L2 entry ", entry.index, " of the table at ", Hex{table.offset}, " is ",
                Hex{entry.word}, ": ", what);
  });
}

Result<void> EntryCheck::check(const L2Table& table) {
  BLOCKPULL_TRY(file_size, image_.file().size());
  if (table.offset >= file_size) {
    return {};
  }
  // A small file can have millions of tables in holes.
  BLOCKPULL_TRY(hole, image_.file().is_hole(table.offset, header_.cluster_size()));
  if (hole) {
    return {};
  }
  const std::uint64_t entry_bytes = header_.l2_entry_bytes();
  for (std::uint64_t index = 0; index < header_.l2_entries();) {
    BLOCKPULL_TRY(view, image_.tables().view(table.offset + index * entry_bytes));
    const std::uint64_t here =
        std::min<std::uint64_t>(view.size() / entry_bytes, header_.l2_entries() - index);
    const auto part = view.first(here * entry_bytes);
    if (!all_zero(part)) {
      // A copy, since a look at a refcount may reuse the slice.
      const std::vector<std::byte> bytes(part.begin(), part.end());
      BLOCKPULL_CHECK(check_part(table, index, bytes));
    }
    index += here;
  }
  return {};
}

Result<void> EntryCheck::check_part(const L2Table& table, std::uint64_t first,
                                    std::span<const std::byte> part) {
  const std::uint64_t entry_bytes = header_.l2_entry_bytes();
  for (std::uint64_t at = 0; at < part.size(); at += entry_bytes) {
    Entry entry;
    entry.word = be_at<std::uint64_t>(part, at);
    entry.subclusters =
        header_.has_extended_l2() ? be_at<std::uint64_t>(part, at + kEntryBytes) : 0;
    if ((entry.word | entry.subclusters) != 0) {
      entry.index = first + at / entry_bytes;
      entry.place = table.offset + entry.index * entry_bytes;
      BLOCKPULL_CHECK(check_entry(table, entry));
    }
  }
  return {};
}

Result<void> EntryCheck::check_entry(const L2Table& table, const Entry& entry) {
  if ((entry.word & kCompressed) != 0) {
    return check_compressed(table, entry);
  }
  if ((entry.word & kL2Reserved) != 0) {
    found(FindingCode::kL2Entry, table, entry, "reserved bits are set");
  }
  const bool is_zero = (entry.word & kZero) != 0 && !header_.has_extended_l2();
  // In a data file of its own, a cluster can begin at 0.
  const bool is_allocated = (entry.word & kOffsetMask) != 0 ||
                            (has_data_file_ && (entry.word & kCopied) != 0 && !is_zero);
  if (is_allocated) {
    return check_allocated(table, entry);
  }
  if (!is_zero && !Subclusters(entry.subclusters).is_sound(false)) {
    found(FindingCode::kSubclusterBitmap, table, entry,
          "it has no cluster, and subclusters are marked allocated");
  }
  return {};
}

Result<void> EntryCheck::check_compressed(const L2Table& table, const Entry& entry) {
  allocated_ += table.active_uses;
  compressed_ += table.active_uses;
  if ((entry.word & kCopied) != 0) {
    found(FindingCode::kCopiedFlag, table, entry,
          "its copied flag (bit 63) is set, which a compressed cluster never has");
  }
  if (has_data_file_) {
    found(FindingCode::kCompressedEntry, table, entry,
          "a cluster is compressed in an image with a data file");
    return {};
  }
  if (entry.subclusters != 0) {
    found(FindingCode::kCompressedEntry, table, entry, "a compressed cluster has subclusters");
    return {};
  }
  const CompressedCluster cluster = decode_compressed(entry.word, header_.cluster_bits);
  counter_.map().note_compressed(cluster);
  return counter_.add(
      {cluster.offset, cluster.length, "a compressed cluster", entry.place, table.uses, true});
}

Result<void> EntryCheck::check_allocated(const L2Table& table, const Entry& entry) {
  const std::uint64_t offset = entry.word & kOffsetMask;
  allocated_ += table.active_uses;
  BLOCKPULL_CHECK(check_copied(table, entry));
  if (header_.has_extended_l2() && !Subclusters(entry.subclusters).is_sound(true)) {
    found(FindingCode::kSubclusterBitmap, table, entry,
          "a subcluster is marked both allocated and zero");
  }
  if (!is_aligned(offset, header_.cluster_size())) {
    found(FindingCode::kL2Entry, table, entry, "no cluster can begin there");
  }
  Reference data{offset, header_.cluster_size(), "a data cluster", entry.place, table.uses};
  if (header_.has_extended_l2()) {
    // QEMU writes a cluster only up to its last subcluster in use, and a file may end there.
    const Subclusters bits(entry.subclusters);
    const std::uint64_t size = header_.cluster_size() / kSubclusters;
    data.unread_bytes = bits.unallocated_at_end() * size;
    data.zeroed_bytes = bits.zeros_behind_allocated() * size;
  }
  return has_data_file_ ? Result<void>() : counter_.add(data);
}

Result<void> EntryCheck::check_copied(const L2Table& table, const Entry& entry) {
  // As in QEMU, not for a table that an L1 entry without an offset leads to.
  if (table.active_uses == 0 || table.offset == 0) {
    return {};
  }
  std::optional<std::uint64_t> refcount = 1;
  if (!has_data_file_) {
    BLOCKPULL_TRY(stored, stored_.at((entry.word & kOffsetMask) >> header_.cluster_bits));
    refcount = stored;
  }
  if (refcount && !is_copied_right(entry.word, *refcount)) {
    findings_.add(FindingCode::kCopiedFlag, entry.place, table.active_uses, [&] {
      return text("L2 entry ", entry.index, " of the table at ", Hex{table.offset}, " is ",
                  Hex{entry.word}, ", and the refcount of its cluster is ", *refcount,
                  ": its copied flag (bit 63) is wrong");
    });
  }
  return {};
}

}  // namespace blockpull::image::qcow2
