// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/check/count_references.h"

#include <algorithm>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/text.h"
#include "core/image/qcow2/bitmaps.h"
#include "core/image/qcow2/check/entry_check.h"
#include "core/image/qcow2/check/reference_counter.h"
#include "core/image/qcow2/check/table_uses.h"
#include "core/io/file_content.h"

namespace blockpull::image::qcow2 {
namespace {

/// Version 3 states the size of the VM state, and of the disk, for each snapshot.
constexpr std::uint32_t kMinExtraBytes = 16;

class ReferenceWalk {
 public:
  ReferenceWalk(Qcow2Image& image, StoredRefcounts& stored, std::uint64_t file_size,
                const WalkWatch& watch)
      : image_(image),
        header_(image.header()),
        file_size_(file_size),
        watch_(watch),
        stored_(stored),
        counter_(header_, round_up(file_size, kSector), findings_),
        entries_(image, counter_, stored_, findings_) {}

  Result<CountedReferences> run() {
    BLOCKPULL_CHECK(counter_.add({0, header_.cluster_size(), "the header"}));
    BLOCKPULL_CHECK(count_tables());
    const std::uint64_t table_bytes = header_.refcount_table_clusters * header_.cluster_size();
    BLOCKPULL_CHECK(counter_.add({header_.refcount_table_offset, table_bytes, "the refcount table",
                                  field::kRefcountTableOffset}));
    if (header_.encryption) {
      BLOCKPULL_CHECK(
          counter_.add({header_.encryption->offset, header_.encryption->bytes, "the LUKS header"}));
    }
    BLOCKPULL_CHECK(count_bitmaps());
    BLOCKPULL_CHECK(count_refcount_blocks());
    return CountedReferences{std::move(counter_.map()),
                             std::move(findings_),
                             std::move(l1_tables_),
                             std::move(tables_),
                             bitmaps_,
                             entries_.allocated(),
                             entries_.compressed()};
  }

 private:
  Result<void> count_tables() {
    TableUses uses(image_, counter_, stored_, findings_);
    BLOCKPULL_CHECK(uses.add_active(watch_));
    BLOCKPULL_TRY(table, read_snapshot_table(image_.file(), header_));
    if (!table.snapshots.empty() && header_.has_data_file()) {
      findings_.add(FindingCode::kSnapshot, header_.snapshots_offset, 1, [] {
        return std::string(
            "the image has snapshots and an external data file, which exclude "
            "each other");
      });
    } else {
      for (const Snapshot& snapshot : table.snapshots) {
        check_snapshot(snapshot);
        BLOCKPULL_CHECK(uses.add_snapshot(snapshot, watch_));
      }
    }
    BLOCKPULL_CHECK(counter_.add(
        {header_.snapshots_offset, table.bytes, "the snapshot table", field::kSnapshotsOffset}));
    l1_tables_ = uses.l1_tables();
    return check_tables(uses.take_sorted());
  }

  void check_snapshot(const Snapshot& snapshot) {
    if (header_.version >= 3 && snapshot.extra_bytes < kMinExtraBytes) {
      findings_.add(FindingCode::kSnapshot, snapshot.offset, 1, [&] {
        return text("snapshot '", snapshot.name, "' has ", snapshot.extra_bytes,
                    " bytes of extra data; version 3 requires ", kMinExtraBytes);
      });
    }
  }

  Result<void> check_tables(const std::vector<TableUse>& uses) {
    watch_.begin(WalkPhase::kTables, uses.size() * header_.cluster_size());
    for (std::size_t first = 0; first < uses.size();) {
      BLOCKPULL_CHECK(watch_.check());
      L2Table table{uses[first].offset, uses[first].l1_index, 0, 0};
      bool is_shared = false;
      for (; first < uses.size() && uses[first].offset == table.offset; ++first) {
        ++table.uses;
        table.active_uses += uses[first].is_active ? 1 : 0;
        is_shared = is_shared || uses[first].l1_index != table.l1_index;
      }
      if (is_shared) {
        findings_.add(FindingCode::kSharedTable, table.offset, 1, [&] {
          return text("the L2 table at ", Hex{table.offset},
                      " is used for several places of a disk, L1 entry ", table.l1_index,
                      " among them");
        });
      }
      tables_.push_back(table);
      BLOCKPULL_CHECK(check_overlap(table));
      BLOCKPULL_CHECK(entries_.check(table));
      watch_.reach(first * header_.cluster_size());
    }
    return {};
  }

  /// Tables that begin between clusters can overlap, and a small file can have millions of them.
  Result<void> check_overlap(const L2Table& table) {
    if (is_aligned(table.offset, header_.cluster_size())) {
      return {};
    }
    unaligned_bytes_ += header_.cluster_size();
    if (unaligned_bytes_ <= file_size_) {
      return {};
    }
    const std::string& path = image_.file().path();
    return make_error(ErrorKind::kImageCorrupt,
                      text("L2 tables of '", path, "' begin between clusters and have ",
                           unaligned_bytes_, " bytes in all, more than the file; they overlap"))
        .with_path(path);
  }

  Result<void> count_bitmaps() {
    if (!header_.bitmaps) {
      return {};
    }
    const BitmapDirectory& directory = *header_.bitmaps;
    BLOCKPULL_CHECK(counter_.add({directory.offset, directory.bytes, "the bitmap directory"}));
    bitmaps_ = directory.count;
    auto bitmaps = read_bitmaps(image_.file(), header_);
    if (!bitmaps.ok() && bitmaps.error().kind != ErrorKind::kImageCorrupt) {
      return std::move(bitmaps).error();
    }
    if (!bitmaps.ok()) {
      findings_.add(FindingCode::kBitmap, directory.offset, 1,
                    [&] { return bitmaps.error().message; });
      return {};
    }
    std::uint64_t table_bytes = 0;
    for (const Bitmap& bitmap : *bitmaps) {
      BLOCKPULL_CHECK(watch_.check());
      table_bytes += std::uint64_t{bitmap.table_entries} * kEntryBytes;
      if (table_bytes > file_size_ + header_.cluster_size()) {
        findings_.add(FindingCode::kBitmap, directory.offset, 1, [&] {
          return text("the tables of the bitmaps up to '", bitmap.name, "' have ", table_bytes,
                      " bytes in all, more than the file; they overlap");
        });
        return {};
      }
      BLOCKPULL_CHECK(count_bitmap(bitmap));
    }
    return {};
  }

  Result<void> count_bitmap(const Bitmap& bitmap) {
    const std::uint64_t bytes = std::uint64_t{bitmap.table_entries} * kEntryBytes;
    BLOCKPULL_CHECK(counter_.add(
        {bitmap.table_offset, bytes, "the table of a bitmap", header_.bitmaps->offset}));
    const auto take = [&](std::uint64_t offset, std::span<const std::byte> part) -> Result<bool> {
      BLOCKPULL_CHECK(watch_.check());
      for (std::uint64_t at = 0; at + kEntryBytes <= part.size(); at += kEntryBytes) {
        BLOCKPULL_CHECK(count_bitmap_entry(bitmap, offset + at, be_at<std::uint64_t>(part, at)));
      }
      return true;
    };
    const std::uint64_t end = std::min(bitmap.table_offset + bytes, file_size_);
    BLOCKPULL_CHECK(io::read_content(image_.file(), bitmap.table_offset, end, take));
    return {};
  }

  Result<void> count_bitmap_entry(const Bitmap& bitmap, std::uint64_t place, std::uint64_t entry) {
    const std::uint64_t offset = entry & kOffsetMask;
    const bool sound = (entry & kBitmapReserved) == 0 &&
                       (offset == 0 || ((entry & kBitmapAllOnes) == 0 &&
                                        is_aligned(offset, header_.cluster_size())));
    if (!sound) {
      findings_.add(FindingCode::kBitmap, place, 1, [&] {
        return text("entry ", (place - bitmap.table_offset) / kEntryBytes, " of bitmap '",
                    bitmap.name, "' is ", Hex{entry}, ", which cannot be right");
      });
    } else if (offset != 0) {
      return counter_.add({offset, header_.cluster_size(), "a cluster of a bitmap", place});
    }
    return {};
  }

  /// Last, since a block must not have any other reference.
  Result<void> count_refcount_blocks() {
    for (std::uint64_t index = 0; index < stored_.blocks(); ++index) {
      if (index % 1024 == 0) {
        BLOCKPULL_CHECK(watch_.check());
      }
      BLOCKPULL_TRY(block, stored_.block_at(index));
      BLOCKPULL_CHECK(count_refcount_block(index, block));
    }
    return {};
  }

  Result<void> count_refcount_block(std::uint64_t index, const StoredRefcounts::Block& block) {
    using State = StoredRefcounts::BlockState;
    const std::uint64_t place = header_.refcount_table_offset + index * kEntryBytes;
    const auto found = [&](const auto&... what) {
      findings_.add(FindingCode::kRefcountBlock, place, 1, [&] {
        return text("refcount table entry ", index, " is ", Hex{block.entry}, ": ", what...);
      });
    };
    switch (block.state) {
      case State::kAbsent:
        return {};
      case State::kReserved:
        found("reserved bits are set");
        return {};
      case State::kUnaligned:
        found("no refcount block can begin there");
        return {};
      case State::kOutside:
        found("the file ends at ", Hex{file_size_});
        return {};
      case State::kThere:
        break;
    }
    BLOCKPULL_CHECK(
        counter_.add({block.offset, header_.cluster_size(), "a refcount block", place}));
    const std::uint64_t references = counter_.map().count(block.offset >> header_.cluster_bits);
    if (references != 1) {
      found("something else uses that cluster too (", references, " references)");
    }
    return {};
  }

  Qcow2Image& image_;
  const Header& header_;
  const std::uint64_t file_size_;
  const WalkWatch& watch_;
  Findings findings_;
  StoredRefcounts& stored_;
  ReferenceCounter counter_;
  EntryCheck entries_;
  std::vector<L1Table> l1_tables_;
  std::vector<L2Table> tables_;
  std::uint32_t bitmaps_ = 0;
  /// Of the L2 tables so far that begin between clusters.
  std::uint64_t unaligned_bytes_ = 0;
};

}  // namespace

Result<CountedReferences> count_references(Qcow2Image& image, StoredRefcounts& stored,
                                           const WalkWatch& watch) {
  BLOCKPULL_TRY(file_size, image.file().size());
  return ReferenceWalk(image, stored, file_size, watch).run();
}

}  // namespace blockpull::image::qcow2
