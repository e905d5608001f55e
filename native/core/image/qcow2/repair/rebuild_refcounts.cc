// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/repair/rebuild_refcounts.h"

#include <algorithm>
#include <set>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/image/qcow2/refcount_entry.h"

namespace blockpull::image::qcow2 {
namespace {

class Rebuild {
 public:
  Rebuild(Qcow2Image& image, StoredRefcounts& stored, TargetRefcounts& targets,
          const WalkWatch& watch)
      : image_(image),
        refcounts_(image),
        header_(image.header()),
        stored_(stored),
        targets_(targets),
        watch_(watch),
        cluster_size_(header_.cluster_size()),
        per_block_(header_.refcounts_per_block()),
        first_(targets.end()) {}

  Result<void> run() {
    if (targets_.may_lower()) {
      BLOCKPULL_CHECK(drop_old());
    }
    BLOCKPULL_CHECK(plan());
    BLOCKPULL_TRY(file_size, image_.file().size());
    if (auto written = write(); !written.ok()) {
      // Nothing refers to what was written, so the first error is the one to report. If a sync has
      // failed, nothing is written any more.
      if (!image_.file().sync_failed()) {
        static_cast<void>(image_.file().truncate(file_size));
      }
      return written;
    }
    return refcounts_.switch_table((first_ + indexes_.size()) * cluster_size_, table_clusters_);
  }

 private:
  /// Once the new table is in use, nothing refers to the old one and its blocks.
  Result<void> drop_old() {
    const std::uint64_t table = header_.refcount_table_offset / cluster_size_;
    for (std::uint64_t i = 0; i < header_.refcount_table_clusters; ++i) {
      BLOCKPULL_CHECK(targets_.drop(table + i));
    }
    for (std::uint64_t index = 0; index < stored_.blocks(); ++index) {
      BLOCKPULL_TRY(block, stored_.block_at(index));
      if (block.state == StoredRefcounts::BlockState::kThere) {
        BLOCKPULL_CHECK(targets_.drop(block.offset / cluster_size_));
      }
    }
    return {};
  }

  /// Which blocks are needed, in the order of the file, and how large the table is. The new
  /// clusters need blocks themselves; the numbers settle after a few rounds.
  Result<void> plan() {
    if (first_ / per_block_ >= limits::kRefcountTableBytes / kEntryBytes) {
      return refcounts_.table_too_large();
    }
    for (std::uint64_t index = 0; index * per_block_ < first_; ++index) {
      BLOCKPULL_CHECK(watch_.check());
      BLOCKPULL_TRY(needed, targets_.has_any({index * per_block_, per_block_}));
      if (needed) {
        indexes_.insert(index);
      }
    }
    for (std::uint64_t end = 0; end != own().end();) {
      end = own().end();
      for (std::uint64_t index = first_ / per_block_; index * per_block_ < end; ++index) {
        indexes_.insert(index);
      }
      table_clusters_ = divide_up((*indexes_.rbegin() + 1) * kEntryBytes, cluster_size_);
    }
    return table_clusters_ * cluster_size_ > limits::kRefcountTableBytes
               ? Result<void>(refcounts_.table_too_large())
               : Result<void>();
  }

  /// The new clusters.
  [[nodiscard]] ClusterRange own() const { return {first_, indexes_.size() + table_clusters_}; }

  Result<void> write() {
    BLOCKPULL_CHECK(image_.file().allocate(first_ * cluster_size_, own().count * cluster_size_));
    std::vector<std::byte> table(table_clusters_ * cluster_size_);
    std::vector<std::byte> block(cluster_size_);
    std::uint64_t cluster = first_;
    for (const std::uint64_t index : indexes_) {
      BLOCKPULL_CHECK(watch_.check());
      BLOCKPULL_CHECK(fill(block, index));
      BLOCKPULL_CHECK(image_.tables().store(cluster * cluster_size_, block));
      put_be_at<std::uint64_t>(table, index * kEntryBytes, cluster * cluster_size_);
      ++cluster;
    }
    BLOCKPULL_CHECK(image_.tables().store(cluster * cluster_size_, table));
    // If we die here, the next open sees the old table, and bytes behind the image.
    return image_.file().sync();
  }

  Result<void> fill(std::vector<std::byte>& block, std::uint64_t index) {
    std::fill(block.begin(), block.end(), std::byte{0});
    const std::uint64_t base = index * per_block_;
    const std::uint64_t end = std::min(base + per_block_, own().end());
    for (std::uint64_t cluster = base; cluster < end; ++cluster) {
      std::uint64_t refcount = 1;
      if (cluster < first_) {
        BLOCKPULL_TRY(target, targets_.at(cluster));
        refcount = target;
      }
      if (refcount != 0) {
        store_refcount(block, header_.refcount_order, cluster - base, refcount);
      }
    }
    return {};
  }

  Qcow2Image& image_;
  Refcounts refcounts_;
  const Header& header_;
  StoredRefcounts& stored_;
  TargetRefcounts& targets_;
  const WalkWatch& watch_;
  const std::uint64_t cluster_size_;
  const std::uint64_t per_block_;
  /// The first new cluster: behind everything that the file has or refers to.
  const std::uint64_t first_;
  /// Of the new blocks in the table.
  std::set<std::uint64_t> indexes_;
  std::uint64_t table_clusters_ = 0;
};

}  // namespace

Result<void> rebuild_refcounts(Qcow2Image& image, StoredRefcounts& stored, TargetRefcounts& targets,
                               const WalkWatch& watch) {
  return Rebuild(image, stored, targets, watch).run();
}

}  // namespace blockpull::image::qcow2
