// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/check/compare_refcounts.h"

#include <algorithm>

#include "core/base/checked.h"
#include "core/base/text.h"
#include "core/image/qcow2/refcount_entry.h"

namespace blockpull::image::qcow2 {
namespace {

class RefcountComparison {
 public:
  RefcountComparison(const ReferenceMap& counted, StoredRefcounts& stored, Findings& findings)
      : counted_(counted),
        stored_(stored),
        clusters_(std::max(stored.file_clusters(), counted.end())),
        findings_(findings) {}

  Result<std::uint64_t> run(const WalkWatch& watch) {
    for (std::uint64_t cluster = 0; cluster < clusters_;) {
      BLOCKPULL_CHECK(watch.check());
      BLOCKPULL_TRY(row, stored_.slice_of(cluster));
      const std::uint64_t end = std::min(row.clusters.end(), clusters_);
      if (row.entries.empty()) {
        compare_absent({cluster, end - cluster}, row.is_known);
      } else {
        compare_row(row, {cluster, end - cluster});
      }
      cluster = end;
    }
    return end_;
  }

 private:
  /// No refcount: only what is referred to is looked at.
  void compare_absent(ClusterRange clusters, bool is_known) {
    std::optional<std::uint64_t> next = counted_.first_in(clusters);
    while (next) {
      end_ = *next + 1;
      if (is_known) {
        found(*next, 0, counted_.count(*next));
      }
      next = counted_.first_in({end_, clusters.end() - end_});
    }
  }

  void compare_row(const StoredRefcounts::Slice& row, ClusterRange clusters) {
    for (std::uint64_t cluster = clusters.first; cluster < clusters.end(); ++cluster) {
      const std::uint64_t stored =
          load_refcount(row.entries, stored_.order(), cluster - row.clusters.first);
      const std::uint64_t counted = counted_.count(cluster);
      if ((stored | counted) != 0) {
        end_ = cluster + 1;
      }
      if (stored != counted) {
        found(cluster, stored, counted);
      }
    }
  }

  void found(std::uint64_t cluster, std::uint64_t stored, std::uint64_t counted) {
    const bool is_leak = stored > counted;
    findings_.add(is_leak ? FindingCode::kLeak : FindingCode::kRefcountLow,
                  cluster << stored_.cluster_bits(), 1, [&] {
                    return text("cluster ", cluster, " has refcount ", stored, " and ", counted,
                                counted == 1 ? " reference" : " references",
                                is_leak ? "" : ": its data can be overwritten");
                  });
  }

  const ReferenceMap& counted_;
  StoredRefcounts& stored_;
  /// Those of the file, and a last one that is cut short.
  const std::uint64_t clusters_;
  Findings& findings_;
  std::uint64_t end_ = 0;
};

}  // namespace

Result<std::uint64_t> compare_refcounts(const ReferenceMap& counted, StoredRefcounts& stored,
                                        Findings& findings, const WalkWatch& watch) {
  return RefcountComparison(counted, stored, findings).run(watch);
}

}  // namespace blockpull::image::qcow2
