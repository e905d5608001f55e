// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/used_clusters.h"

#include <algorithm>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/text.h"
#include "core/image/qcow2/check/count_references.h"
#include "core/image/qcow2/support.h"
#include "core/image/qcow2/table_walk.h"
#include "core/io/file_content.h"

namespace blockpull::image::qcow2 {
namespace {

Error damaged(Qcow2Image& image, const std::string& what) {
  const std::string& path = image.file().path();
  return make_error(ErrorKind::kImageCorrupt,
                    text("image '", path, "' is damaged: ", what, "; ", kRepairAdvice))
      .with_path(path);
}

Result<void> check_findings(Qcow2Image& image, const Findings& findings) {
  for (const Finding& finding : findings.list()) {
    if (severity_of(finding.code) == Severity::kError ||
        finding.code == FindingCode::kSharedTable) {
      return damaged(image, finding.message);
    }
  }
  return {};
}

/// A part of the image that a pull relies on.
struct Table {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t references = 1;
  const char* what = "";
};

/// Checks that all references to the clusters of a table are known to mean the table.
Result<void> check_alone(Qcow2Image& image, const ReferenceMap& map, const Table& table) {
  const std::uint64_t cluster_size = image.cluster_size();
  const std::uint64_t end = divide_up(table.offset + table.bytes, cluster_size);
  for (std::uint64_t cluster = table.offset / cluster_size; cluster < end; ++cluster) {
    if (map.count(cluster) != table.references) {
      return damaged(image, text(table.what, " lies in host cluster ", cluster,
                                 ", which something else uses too"));
    }
  }
  return {};
}

/// An entry of a table, and its place in the file.
struct Entry {
  std::uint64_t place = 0;
  std::uint64_t word = 0;

  [[nodiscard]] std::uint64_t offset() const { return word & kOffsetMask; }
  [[nodiscard]] bool is_compressed() const { return (word & kCompressed) != 0; }
};

/// Looks for the first entry of a table, each of `entry_bytes`, for which `is_sought` holds.
Result<std::optional<Entry>> find_entry(Qcow2Image& image, const Table& table,
                                        std::uint64_t entry_bytes,
                                        const std::function<bool(const Entry&)>& is_sought) {
  std::optional<Entry> found;
  const auto take = [&](std::uint64_t offset, std::span<const std::byte> part) -> Result<bool> {
    for (std::uint64_t at = 0; at + entry_bytes <= part.size() && !found; at += entry_bytes) {
      const Entry entry{offset + at, be_at<std::uint64_t>(part, at)};
      if (is_sought(entry)) {
        found = entry;
      }
    }
    return !found;
  };
  BLOCKPULL_TRY(file_size, image.file().size());
  const std::uint64_t end = std::min(table.offset + table.bytes, file_size);
  BLOCKPULL_CHECK(io::read_content(image.file(), table.offset, end, take));
  return found;
}

/// Version 2 has no zero clusters, and QEMU reads such an entry as an error. Taken for zeros, it
/// would lose what the backing chain has there.
Result<void> check_no_zero_clusters(Qcow2Image& image, const Table& table) {
  const auto is_zero = [](const Entry& entry) {
    return !entry.is_compressed() && (entry.word & kZero) != 0;
  };
  BLOCKPULL_TRY(zero, find_entry(image, table, kEntryBytes, is_zero));
  if (!zero) {
    return {};
  }
  // A check counts as QEMU does and finds nothing, so there is no advice to give.
  const std::string& path = image.file().path();
  return make_error(ErrorKind::kImageCorrupt,
                    text("image '", path, "' is damaged: L2 entry ", Hex{zero->word}, " at ",
                         Hex{zero->place}, ": ", fault_text(EntryFault::kZeroInVersion2),
                         "; nothing was written"))
      .with_path(path);
}

Result<void> check_tables(Qcow2Image& image, const CountedReferences& counted) {
  const Header& header = image.header();
  const std::uint64_t cluster_size = header.cluster_size();
  const auto check = [&](const Table& table) { return check_alone(image, counted.map, table); };
  BLOCKPULL_CHECK(check({0, cluster_size, 1, "the header"}));
  BLOCKPULL_CHECK(check({header.refcount_table_offset,
                         header.refcount_table_clusters * cluster_size, 1, "the refcount table"}));
  for (const L1Table& l1 : counted.l1_tables) {
    BLOCKPULL_CHECK(check({l1.offset(), l1.bytes(), 1, "an L1 table"}));
  }
  for (const L2Table& found : counted.tables) {
    const Table table{found.offset, cluster_size, found.uses, "an L2 table"};
    BLOCKPULL_CHECK(check(table));
    if (header.version < 3) {
      BLOCKPULL_CHECK(check_no_zero_clusters(image, table));
    }
  }
  return {};
}

/// A cluster without the copied flag has several owners (check_findings() has compared the flags
/// with the refcounts), and what is missing for one of them may be data for another. Only snapshots
/// make such clusters.
Result<void> check_unshared(Qcow2Image& image, const std::vector<L2Table>& tables) {
  const Header& header = image.header();
  const auto is_shared = [](const Entry& entry) {
    return entry.offset() != 0 && (entry.word & (kCompressed | kCopied)) == 0;
  };
  for (const L2Table& table : tables) {
    BLOCKPULL_TRY(shared, find_entry(image, {table.offset, header.cluster_size()},
                                     header.l2_entry_bytes(), is_shared));
    if (shared) {
      return damaged(image, text("host cluster ", shared->offset() / header.cluster_size(),
                                 " has a refcount above 1, though there is no snapshot"));
    }
  }
  return {};
}

}  // namespace

Result<ReferenceMap> find_used_clusters(Qcow2Image& image, const IsWanted& is_wanted) {
  const Header& header = image.header();
  if (header.snapshot_count == 0 && !header.bitmaps && !header.has_extended_l2()) {
    return find_references(image, is_wanted);
  }
  BLOCKPULL_TRY(file_size, image.file().size());
  StoredRefcounts stored(image, file_size);
  BLOCKPULL_TRY(counted, count_references(image, stored, WalkWatch(is_wanted)));
  BLOCKPULL_CHECK(check_findings(image, counted.findings));
  BLOCKPULL_CHECK(check_tables(image, counted));
  if (header.has_extended_l2() && header.snapshot_count == 0) {
    BLOCKPULL_CHECK(check_unshared(image, counted.tables));
  }
  return std::move(counted.map);
}

Result<std::optional<std::uint64_t>> first_in_active_disk(Qcow2Image& image,
                                                          const IsSought& is_sought) {
  const Header& header = image.header();
  const L1Table l1 = image.l1_table();
  const auto cluster_of = [&](const Entry& entry) {
    return entry.offset() / header.cluster_size();
  };
  const auto is_meant = [&](const Entry& entry) {
    return entry.offset() != 0 && !entry.is_compressed() && is_sought(cluster_of(entry));
  };
  BLOCKPULL_TRY(table, find_entry(image, {l1.offset(), l1.bytes()}, kEntryBytes, is_meant));
  if (table) {
    return std::optional(cluster_of(*table));
  }
  for (std::uint64_t index = 0; index < l1.entries(); ++index) {
    BLOCKPULL_TRY(entry, image.tables().load(l1.entry_at(index)));
    const std::uint64_t offset = entry & kOffsetMask;
    if (offset == 0) {
      continue;
    }
    BLOCKPULL_TRY(data, find_entry(image, {offset, header.cluster_size()}, header.l2_entry_bytes(),
                                   is_meant));
    if (data) {
      return std::optional(cluster_of(*data));
    }
  }
  return std::optional<std::uint64_t>();
}

}  // namespace blockpull::image::qcow2
