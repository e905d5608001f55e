// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/table_links.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"
#include "core/image/qcow2/l2_entry.h"

namespace blockpull::image::qcow2 {
namespace {

class Distribution {
 public:
  Distribution(Qcow2Image& image, const DiskStates& states) : image_(image), states_(states) {}

  Result<void> add(LinkRun run) {
    const L1Table& l1 = states_.l1(0);
    while (run.count > 0) {
      const std::uint64_t l1_index = l1.index_of(run.guest_cluster);
      LinkRun part = run;
      part.count = std::min(run.count, l1.first_cluster(l1_index + 1) - run.guest_cluster);
      BLOCKPULL_CHECK(go_to(l1_index));
      BLOCKPULL_CHECK(place(part));
      run.guest_cluster += part.count;
      run.host_cluster += part.count;
      run.count -= part.count;
    }
    return {};
  }

  std::vector<TableLinks> finish() {
    flush();
    return std::move(links_);
  }

 private:
  Result<void> go_to(std::uint64_t l1_index) {
    if (!here_.empty() && here_.front().l1_index == l1_index) {
      return {};
    }
    flush();
    BLOCKPULL_TRY(tables, states_.tables_at(l1_index));
    for (SharedTable& table : tables) {
      here_.push_back({l1_index, std::move(table), {}});
    }
    return {};
  }

  void flush() {
    for (TableLinks& links : std::exchange(here_, {})) {
      if (!links.runs.empty()) {
        links_.push_back(std::move(links));
      }
    }
  }

  Result<void> place(const LinkRun& part) {
    if (here_.size() == 1) {
      append(here_.front(), part, here_.front().table.states.size());
      return {};
    }
    // Table by table: with many snapshots only few tables fit into the cache.
    std::vector<std::uint64_t> references(part.count, 0);
    for (const TableLinks& links : here_) {
      BLOCKPULL_CHECK(each_lacking(
          links, part, [&](std::uint64_t i) { references[i] += links.table.states.size(); }));
    }
    const auto unlinked = std::find(references.begin(), references.end(), 0);
    if (unlinked != references.end()) {
      return allocated_meanwhile(
          image_.file().path(),
          part.guest_cluster + static_cast<std::uint64_t>(unlinked - references.begin()));
    }
    for (TableLinks& links : here_) {
      BLOCKPULL_CHECK(each_lacking(links, part, [&](std::uint64_t i) {
        append(links, {part.guest_cluster + i, 1, part.host_cluster + i, part.zero}, references[i]);
      }));
    }
    return {};
  }

  /// Calls `visit(i)` for each cluster i of the part that the table lacks.
  template <typename Visit>
  Result<void> each_lacking(const TableLinks& links, const LinkRun& part, const Visit& visit) {
    for (std::uint64_t i = 0; i < part.count; ++i) {
      BLOCKPULL_TRY(lacks, is_lacking(links, part.guest_cluster + i));
      if (lacks) {
        visit(i);
      }
    }
    return {};
  }

  Result<bool> is_lacking(const TableLinks& links, std::uint64_t guest_cluster) {
    if (links.table.offset == 0) {
      return true;
    }
    const std::uint64_t slot = guest_cluster - states_.l1(0).first_cluster(links.l1_index);
    BLOCKPULL_TRY(entry, image_.tables().load(links.table.offset + slot * kEntryBytes));
    return is_absent(entry);
  }

  static void append(TableLinks& links, LinkRun run, std::uint64_t references) {
    run.references = references;
    links.runs.add(run);
  }

  Qcow2Image& image_;
  const DiskStates& states_;
  /// The tables at the L1 index of the last run.
  std::vector<TableLinks> here_;
  std::vector<TableLinks> links_;
};

}  // namespace

Result<std::vector<TableLinks>> distribute_links(Qcow2Image& image, const DiskStates& states,
                                                 const LinkRuns& runs) {
  Distribution distribution(image, states);
  for (const LinkRun& run : runs) {
    BLOCKPULL_CHECK(distribution.add(run));
  }
  return distribution.finish();
}

Error allocated_meanwhile(const std::string& path, std::uint64_t guest_cluster) {
  return make_error(ErrorKind::kImageCorrupt,
                    text("guest cluster ", guest_cluster, " of '", path,
                         "' was allocated by another program during the pull; its entry was "
                         "not overwritten, so find out which program writes to the image"))
      .with_path(path);
}

}  // namespace blockpull::image::qcow2
