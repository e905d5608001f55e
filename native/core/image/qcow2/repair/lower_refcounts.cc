// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/repair/lower_refcounts.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/image/qcow2/refcount_entry.h"

namespace blockpull::image::qcow2 {
namespace {

/// Most runs of free clusters whose space is released. More stay allocated in the filesystem.
constexpr std::size_t kMostFreed = 16384;

class Lowering {
 public:
  Lowering(Qcow2Image& image, StoredRefcounts& stored, TargetRefcounts& targets)
      : image_(image), refcounts_(image), stored_(stored), targets_(targets) {}

  Result<void> run(const WalkWatch& watch) {
    BLOCKPULL_CHECK(image_.file().sync());
    for (std::uint64_t cluster = 0; cluster < targets_.end();) {
      BLOCKPULL_CHECK(watch.check());
      BLOCKPULL_TRY(row, stored_.slice_of(cluster));
      const std::uint64_t end = std::min(row.clusters.end(), targets_.end());
      if (!row.entries.empty()) {
        BLOCKPULL_CHECK(lower_row(row, end));
      }
      cluster = end;
    }
    BLOCKPULL_CHECK(image_.file().sync());
    const std::uint64_t cluster_size = image_.cluster_size();
    for (const ClusterRange& range : freed_) {
      BLOCKPULL_CHECK(image_.file().punch(range.first * cluster_size, range.count * cluster_size));
    }
    return {};
  }

 private:
  Result<void> lower_row(const StoredRefcounts::Slice& row, std::uint64_t end) {
    ClusterRange run{row.clusters.first, 0};
    std::uint64_t value = 0;
    for (std::uint64_t cluster = row.clusters.first; cluster < end; ++cluster) {
      const std::uint64_t stored =
          load_refcount(row.entries, stored_.order(), cluster - row.clusters.first);
      BLOCKPULL_TRY(target, targets_.at(cluster));
      if (stored <= target) {
        continue;
      }
      if (target != value || run.end() != cluster) {
        BLOCKPULL_CHECK(lower_run(run, value));
        run = {cluster, 0};
        value = target;
      }
      ++run.count;
    }
    return lower_run(run, value);
  }

  Result<void> lower_run(ClusterRange run, std::uint64_t value) {
    if (run.count == 0) {
      return {};
    }
    if (value == 0 && freed_.size() < kMostFreed) {
      freed_.push_back(run);
    }
    return refcounts_.set(run, value);
  }

  Qcow2Image& image_;
  Refcounts refcounts_;
  StoredRefcounts& stored_;
  TargetRefcounts& targets_;
  std::vector<ClusterRange> freed_;
};

}  // namespace

Result<void> lower_refcounts(Qcow2Image& image, StoredRefcounts& stored, TargetRefcounts& targets,
                             const WalkWatch& watch) {
  return Lowering(image, stored, targets).run(watch);
}

}  // namespace blockpull::image::qcow2
