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
  Lowering(Qcow2Image& image, StoredRefcounts& stored, TargetRefcounts& targets,
           std::uint64_t kept_from)
      : image_(image),
        refcounts_(image),
        stored_(stored),
        targets_(targets),
        kept_from_(kept_from / image.cluster_size()) {}

  Result<void> run(const WalkWatch& watch) {
    for (std::uint64_t cluster = 0; cluster < targets_.end();) {
      BLOCKPULL_CHECK(watch.check());
      BLOCKPULL_TRY(row, stored_.slice_of(cluster));
      const std::uint64_t end = std::min(row.clusters.end(), targets_.end());
      if (!row.entries.empty()) {
        BLOCKPULL_CHECK(lower_row(row, end));
      }
      cluster = end;
    }
    // If we die here, the next open sees some refcounts lowered; each counts every reference.
    BLOCKPULL_CHECK(image_.file().sync());
    const std::uint64_t cluster_size = image_.cluster_size();
    for (const ClusterRange& range : freed_) {
      const std::uint64_t end = std::min(range.end(), kept_from_);
      if (range.first < end) {
        BLOCKPULL_CHECK(
            image_.file().punch(range.first * cluster_size, (end - range.first) * cluster_size));
      }
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
  /// The first cluster whose space is not released.
  const std::uint64_t kept_from_;
  std::vector<ClusterRange> freed_;
};

}  // namespace

Result<void> lower_refcounts(Qcow2Image& image, StoredRefcounts& stored, TargetRefcounts& targets,
                             std::uint64_t kept_from, const WalkWatch& watch) {
  return Lowering(image, stored, targets, kept_from).run(watch);
}

}  // namespace blockpull::image::qcow2
