// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/used_clusters.h"

#include <algorithm>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/text.h"
#include "core/image/qcow2/check/count_references.h"
#include "core/image/qcow2/disk_states.h"
#include "core/image/qcow2/support.h"
#include "core/image/qcow2/table_walk.h"

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

/// Version 2 has no zero clusters, and QEMU reads such an entry as an error. Taken for zeros, it
/// would lose what the backing chain has there.
Result<void> check_no_zero_clusters(Qcow2Image& image, const L2Table& table) {
  const std::uint64_t end = table.offset + image.cluster_size();
  for (std::uint64_t place = table.offset; place < end;) {
    BLOCKPULL_TRY(view, image.tables().view(place));
    const auto part = view.first(std::min<std::uint64_t>(view.size(), end - place));
    for (std::uint64_t at = 0; at < part.size(); at += kEntryBytes) {
      const auto entry = be_at<std::uint64_t>(part, at);
      if ((entry & (kCompressed | kZero)) == kZero) {
        // A check counts as QEMU does and finds nothing, so there is no advice to give.
        const std::string& path = image.file().path();
        return make_error(ErrorKind::kImageCorrupt,
                          text("image '", path, "' is damaged: L2 entry ", Hex{entry}, " at ",
                               Hex{place + at}, ": ", fault_text(EntryFault::kZeroInVersion2),
                               "; nothing was written"))
            .with_path(path);
      }
    }
    place += part.size();
  }
  return {};
}

Result<void> check_tables(Qcow2Image& image, const CountedReferences& counted) {
  const Header& header = image.header();
  const std::uint64_t cluster_size = header.cluster_size();
  const auto check = [&](const Table& table) { return check_alone(image, counted.map, table); };
  BLOCKPULL_CHECK(check({0, cluster_size, 1, "the header"}));
  BLOCKPULL_CHECK(check({header.refcount_table_offset,
                         header.refcount_table_clusters * cluster_size, 1, "the refcount table"}));
  BLOCKPULL_TRY(states, DiskStates::open(image));
  for (std::size_t state = 0; state < states.count(); ++state) {
    const L1Table& l1 = states.l1(state);
    BLOCKPULL_CHECK(check({l1.offset(), l1.bytes(), 1, "an L1 table"}));
  }
  for (const L2Table& table : counted.tables) {
    BLOCKPULL_CHECK(check({table.offset, cluster_size, table.uses, "an L2 table"}));
    if (header.version < 3) {
      BLOCKPULL_CHECK(check_no_zero_clusters(image, table));
    }
  }
  return {};
}

/// Looks for an entry of the table for which `is_sought` holds, and gives its cluster.
template <typename IsSought>
Result<std::optional<std::uint64_t>> find_entry(Qcow2Image& image, std::uint64_t offset,
                                                std::uint64_t entries, std::uint64_t entry_bytes,
                                                const IsSought& is_sought) {
  for (std::uint64_t index = 0; index < entries;) {
    BLOCKPULL_TRY(view, image.tables().view(offset + index * entry_bytes));
    const std::uint64_t end = std::min<std::uint64_t>(entries, index + view.size() / entry_bytes);
    for (std::uint64_t at = 0; index < end; ++index, at += entry_bytes) {
      const auto entry = be_at<std::uint64_t>(view, at);
      const std::uint64_t cluster = (entry & kOffsetMask) / image.cluster_size();
      if (cluster != 0 && is_sought(entry, cluster)) {
        return std::optional(cluster);
      }
    }
  }
  return std::optional<std::uint64_t>();
}

/// A cluster without the copied flag has several owners (check_findings() has compared the flags
/// with the refcounts), and what is missing for one of them may be data for another. Only snapshots
/// make such clusters.
Result<void> check_unshared(Qcow2Image& image, const std::vector<L2Table>& tables) {
  const Header& header = image.header();
  const auto is_shared = [](std::uint64_t entry, std::uint64_t) {
    return (entry & (kCompressed | kCopied)) == 0;
  };
  for (const L2Table& table : tables) {
    BLOCKPULL_TRY(shared, find_entry(image, table.offset, header.l2_entries(),
                                     header.l2_entry_bytes(), is_shared));
    if (shared) {
      return damaged(image, text("host cluster ", *shared,
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

Result<std::optional<std::uint64_t>> first_in_active_disk(
    Qcow2Image& image, const std::unordered_set<std::uint64_t>& clusters) {
  const Header& header = image.header();
  const L1Table l1 = image.l1_table();
  const auto is_table = [&](std::uint64_t, std::uint64_t cluster) {
    return clusters.contains(cluster);
  };
  const auto is_data = [&](std::uint64_t entry, std::uint64_t cluster) {
    return (entry & kCompressed) == 0 && clusters.contains(cluster);
  };
  BLOCKPULL_TRY(table, find_entry(image, l1.offset(), l1.entries(), kEntryBytes, is_table));
  if (table) {
    return table;
  }
  for (std::uint64_t index = 0; index < l1.entries(); ++index) {
    BLOCKPULL_TRY(entry, image.tables().load(l1.entry_at(index)));
    if ((entry & kOffsetMask) == 0) {
      continue;
    }
    BLOCKPULL_TRY(data, find_entry(image, entry & kOffsetMask, header.l2_entries(),
                                   header.l2_entry_bytes(), is_data));
    if (data) {
      return data;
    }
  }
  return std::optional<std::uint64_t>();
}

}  // namespace blockpull::image::qcow2
