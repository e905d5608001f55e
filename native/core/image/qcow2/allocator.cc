// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/allocator.h"

#include <algorithm>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/image/qcow2/feature_bits.h"
#include "core/image/qcow2/refcount_entry.h"
#include "core/image/qcow2/support.h"
#include "core/image/qcow2/used_clusters.h"
#include "core/io/file_content.h"

namespace blockpull::image::qcow2 {
namespace {

/// Most runs of leaked clusters to reclaim; more stay leaked, which is harmless. A crash leaves a
/// few. One block of a hostile image can hold millions, and each would need memory, a write and a
/// hole to punch.
constexpr std::size_t kMostLeaks = 16384;

/// Most clusters in use whose refcounts to lower; more stay too high. A crash leaves those of one
/// checkpoint, at most as many as 64 MiB have.
constexpr std::size_t kMostSurplus = 262144;

void append_leak(std::vector<ClusterRange>& leaks, std::uint64_t cluster) {
  if (!leaks.empty() && leaks.back().end() == cluster) {
    ++leaks.back().count;
  } else if (leaks.size() < kMostLeaks) {
    leaks.push_back({cluster, 1});
  }
}

}  // namespace

Result<Allocator> Allocator::open(Qcow2Image& image, const IsWanted& is_wanted) {
  Allocator allocator(image);
  allocator.owns_all_space_ = qcow2::owns_all_space(image.header());
  BLOCKPULL_TRY(references, find_used_clusters(image, is_wanted));
  allocator.end_ = references.end();
  BLOCKPULL_TRY(use, qcow2::end_of_use(image, references));
  allocator.use_ = use;
  BLOCKPULL_CHECK(allocator.check_refcounts(references));
  if (!allocator.owns_all_space_) {
    BLOCKPULL_TRY(file_size, image.file().size());
    allocator.end_ = std::max(allocator.end_, divide_up(file_size, allocator.cluster_size()));
    allocator.leaks_.clear();
    allocator.surplus_.clear();
  }
  BLOCKPULL_CHECK(allocator.check_surplus());
  return allocator;
}

Result<void> Allocator::check_refcounts(const ReferenceMap& references) {
  const std::uint64_t covered = refcounts_.table_entries() * refcounts_.per_block();
  if (references.end() > covered) {
    return make_error(
               ErrorKind::kImageCorrupt,
               text("'", image_.file().path(), "' refers to host cluster ", references.end() - 1,
                    ", its refcount table ends at ", covered, "; ", kRepairAdvice))
        .with_path(image_.file().path());
  }
  for (std::uint64_t index = 0; index < refcounts_.table_entries(); ++index) {
    BLOCKPULL_CHECK(check_block(references, index));
  }
  return {};
}

Error Allocator::wrong_refcount(std::uint64_t cluster, const std::string& is) const {
  const std::string& path = image_.file().path();
  return make_error(ErrorKind::kImageCorrupt,
                    text("host cluster ", cluster, " of '", path, "' ", is, "; ", kRepairAdvice))
      .with_path(path);
}

Error Allocator::low_refcount(std::uint64_t cluster, std::uint64_t refcount) const {
  return wrong_refcount(cluster, text("is in use but has refcount ", refcount));
}

/// A refcount that falls to 1 needs a copied flag in the active disk, and no order of the two
/// writes is without a moment at which a check finds an error. Our own pulls leave no such
/// cluster (see link_writer.h).
Result<void> Allocator::check_surplus() {
  if (surplus_.empty()) {
    return {};
  }
  BLOCKPULL_TRY(active, first_in_active_disk(image_, [this](std::uint64_t cluster) {
                  return surplus_.contains(cluster);
                }));
  return active ? Result<void>(wrong_refcount(*active, text("has ", surplus_[*active],
                                                            " references and a larger refcount")))
                : Result<void>();
}

/// Compares one block with the references. A block that does not exist, or is in a hole, contains
/// only zeros.
Result<void> Allocator::check_block(const ReferenceMap& references, std::uint64_t index) {
  BLOCKPULL_TRY(offset, refcounts_.block_offset(index));
  bool is_empty = offset == 0;
  if (!is_empty) {
    BLOCKPULL_TRY(hole, image_.file().is_hole(offset, cluster_size()));
    is_empty = hole;
  }
  if (is_empty) {
    const ClusterRange range{index * refcounts_.per_block(), refcounts_.per_block()};
    const auto used = references.first_in(range);
    return used ? Result<void>(low_refcount(*used, 0)) : Result<void>();
  }
  return refcounts_.visit_block(index, [&](ClusterRange range, std::span<const std::byte> entries) {
    return check_entries(references, range, entries);
  });
}

/// A refcount below the number of references is corruption; one above it is a leak. In an image
/// without snapshots, a cluster in use can only have leaked with compressed data; that stays.
Result<void> Allocator::check_entries(const ReferenceMap& references, ClusterRange range,
                                      std::span<const std::byte> entries) {
  if (all_zero(entries) && !references.first_in(range)) {
    return {};
  }
  for (std::uint64_t i = 0; i < range.count; ++i) {
    const std::uint64_t refcount = load_refcount(entries, image_.header().refcount_order, i);
    const std::uint64_t references_to = references.count(range.first + i);
    if (refcount < references_to) {
      return low_refcount(range.first + i, refcount);
    }
    if (refcount > 0 && references_to == 0) {
      append_leak(leaks_, range.first + i);
      leaks_end_ = (range.first + i + 1) * cluster_size();
    }
    if (refcount > references_to && references_to > 0 && image_.header().snapshot_count != 0 &&
        surplus_.size() < kMostSurplus) {
      surplus_[range.first + i] = references_to;
    }
  }
  return {};
}

Result<void> Allocator::begin() {
  BLOCKPULL_CHECK(clear_unknown_autoclear(image_));
  return take_back_leaks();
}

Result<void> Allocator::take_back_leaks() {
  BLOCKPULL_TRY(file_size, image_.file().size());
  if (leaks_.empty() && surplus_.empty() && file_size <= end_ * cluster_size()) {
    return {};
  }
  // The tables that show that the leaks are unused may be only in memory: a killed process leaves
  // its last writes there. If we die here, the next open sees what we have read.
  BLOCKPULL_CHECK(image_.file().sync());
  for (const ClusterRange& leak : std::exchange(leaks_, {})) {
    BLOCKPULL_CHECK(refcounts_.set(leak, 0));
    released_.push_back(leak);
  }
  for (const auto& [cluster, references] : std::exchange(surplus_, {})) {
    BLOCKPULL_CHECK(refcounts_.set({cluster, 1}, references));
  }
  // If we die here, the next open sees fewer leaks or the same.
  BLOCKPULL_CHECK(image_.file().sync());
  return trim();
}

Result<Allocator::Batch> Allocator::plan_batch(std::uint64_t usable) {
  Batch batch{.first = end_, .usable = usable};
  // Each new block needs a cluster of its own, which may need another block. The numbers settle
  // after a few rounds.
  for (;;) {
    const std::uint64_t last_block = (batch.range().end() - 1) / refcounts_.per_block();
    Batch next = batch;
    BLOCKPULL_TRY(missing, missing_blocks(batch));
    next.blocks = missing.size();
    if (last_block >= refcounts_.table_entries()) {
      // Half as much again, so that a growing image does not switch tables for every batch.
      const std::uint64_t roomy =
          std::min(refcounts_.table_entries() * 3 / 2, limits::kRefcountTableBytes / kEntryBytes);
      const std::uint64_t entries = std::max(last_block + 1, roomy);
      next.table_clusters = divide_up(entries * kEntryBytes, cluster_size());
      if (next.table_clusters * cluster_size() > limits::kRefcountTableBytes) {
        return refcounts_.table_too_large();
      }
    }
    if (next.blocks == batch.blocks && next.table_clusters == batch.table_clusters) {
      return batch;
    }
    batch = next;
  }
}

Result<std::vector<Allocator::NewBlock>> Allocator::missing_blocks(const Batch& batch) {
  std::vector<NewBlock> blocks;
  const std::uint64_t last = (batch.range().end() - 1) / refcounts_.per_block();
  for (std::uint64_t index = batch.first / refcounts_.per_block(); index <= last; ++index) {
    BLOCKPULL_TRY(offset, refcounts_.block_offset(index));
    if (offset == 0) {
      blocks.push_back({index, batch.first + blocks.size()});
    }
  }
  return blocks;
}

Result<ClusterRange> Allocator::reserve(std::uint64_t count) {
  if (failed_) {
    return *failed_;
  }
  BLOCKPULL_TRY(batch, plan_batch(count));
  BLOCKPULL_TRY(blocks, missing_blocks(batch));
  if (held_from_ && batch.range().end() * cluster_size() > *held_from_) {
    return make_error(ErrorKind::kIo, text("image '", image_.file().path(), "' would grow to ",
                                           batch.range().end() * cluster_size(),
                                           " bytes, over the bytes kept at offset ", *held_from_,
                                           "; pull again to continue"))
        .with_path(image_.file().path());
  }
  // If we die here, the next open sees a longer file and nothing else.
  if (auto space =
          image_.file().allocate(batch.first * cluster_size(), batch.total() * cluster_size());
      !space.ok()) {
    if (space.error().kind == ErrorKind::kNoSpace) {
      // A part of it may have been allocated.
      BLOCKPULL_CHECK(cut_off(batch.first * cluster_size()));
    }
    return std::move(space).error();
  }
  // Before the first write: trim() must never cut off a block or table that a write has put into
  // use.
  end_ = batch.range().end();
  if (auto written = write_refcounts(batch, blocks); !written.ok()) {
    failed_ = written.error();
    return std::move(written).error();
  }
  return ClusterRange{end_ - count, count};
}

Result<void> Allocator::write_refcounts(const Batch& batch, const std::vector<NewBlock>& blocks) {
  // Refcounts in existing blocks: if we die here, the batch is leaked.
  for (ClusterRange left = batch.range(); left.count > 0;) {
    const std::uint64_t block = left.first / refcounts_.per_block();
    const std::uint64_t count =
        std::min(left.count, (block + 1) * refcounts_.per_block() - left.first);
    BLOCKPULL_TRY(offset, refcounts_.block_offset(block));
    if (offset != 0) {
      BLOCKPULL_CHECK(refcounts_.set({left.first, count}, 1));
    }
    left = {left.first + count, left.count - count};
  }
  if (!blocks.empty()) {
    BLOCKPULL_CHECK(write_new_blocks(batch, blocks));
  }
  if (batch.table_clusters > 0) {
    return switch_table(batch, blocks);
  }
  if (blocks.empty()) {
    return {};
  }
  // If we die here, the next open sees clusters that nothing refers to: blocks that are not hooked
  // yet.
  BLOCKPULL_CHECK(image_.file().sync());
  return hook(blocks);
}

Result<void> Allocator::write_new_blocks(const Batch& batch, const std::vector<NewBlock>& blocks) {
  const ClusterRange range = batch.range();
  std::vector<std::byte> content(cluster_size());
  for (const NewBlock& block : blocks) {
    std::fill(content.begin(), content.end(), std::byte{0});
    const std::uint64_t base = block.index * refcounts_.per_block();
    const std::uint64_t begin = std::max(range.first, base);
    const std::uint64_t end = std::min(range.end(), base + refcounts_.per_block());
    for (std::uint64_t cluster = begin; cluster < end; ++cluster) {
      store_refcount(content, image_.header().refcount_order, cluster - base, 1);
    }
    BLOCKPULL_CHECK(image_.tables().store(block.cluster * cluster_size(), content));
  }
  return {};
}

/// Hooks blocks whose contents are durable, in rounds. A block may be hooked once the block that
/// counts its own cluster is hooked and durable, or if it counts its own cluster itself.
Result<void> Allocator::hook(std::vector<NewBlock> blocks) {
  while (!blocks.empty()) {
    std::vector<NewBlock> ready;
    std::vector<NewBlock> later;
    for (const NewBlock& block : blocks) {
      const std::uint64_t counted_by = block.cluster / refcounts_.per_block();
      BLOCKPULL_TRY(offset, refcounts_.block_offset(counted_by));
      (offset != 0 || counted_by == block.index ? ready : later).push_back(block);
    }
    for (const NewBlock& block : ready) {
      std::byte entry[kEntryBytes];
      store_be<std::uint64_t>(entry, block.cluster * cluster_size());
      BLOCKPULL_CHECK(image_.tables().store(
          image_.header().refcount_table_offset + block.index * kEntryBytes, entry));
    }
    if (!later.empty()) {
      // If we die here, the next open sees some of these blocks, each counted by a block that is in
      // use.
      BLOCKPULL_CHECK(image_.file().sync());
    }
    blocks = std::move(later);
  }
  return {};
}

Result<void> Allocator::switch_table(const Batch& batch, const std::vector<NewBlock>& blocks) {
  const std::uint64_t offset = (batch.first + batch.blocks) * cluster_size();
  std::vector<std::byte> table(batch.table_clusters * cluster_size());
  const std::uint64_t old_entries = refcounts_.table_entries();
  for (std::uint64_t index = 0; index < old_entries; ++index) {
    BLOCKPULL_TRY(block, refcounts_.block_offset(index));
    put_be_at<std::uint64_t>(table, index * kEntryBytes, block);
  }
  for (const NewBlock& block : blocks) {
    put_be_at<std::uint64_t>(table, block.index * kEntryBytes, block.cluster * cluster_size());
  }
  BLOCKPULL_CHECK(image_.tables().store(offset, table));
  // If we die here, the next open sees the old table; the new one is a leak.
  BLOCKPULL_CHECK(image_.file().sync());
  const Header& header = image_.header();
  const ClusterRange old_table{header.refcount_table_offset / cluster_size(),
                               header.refcount_table_clusters};
  BLOCKPULL_CHECK(refcounts_.switch_table(offset, batch.table_clusters));
  return release(old_table);
}

Result<void> Allocator::release(ClusterRange range) {
  if (range.count == 0) {
    return {};
  }
  BLOCKPULL_CHECK(refcounts_.set(range, 0));
  released_.push_back(range);
  return {};
}

Result<void> Allocator::trim() {
  std::sort(released_.begin(), released_.end(),
            [](const ClusterRange& a, const ClusterRange& b) { return a.first < b.first; });
  while (!released_.empty() && released_.back().end() == end_) {
    end_ = released_.back().first;
    released_.pop_back();
  }
  for (const ClusterRange& range : std::exchange(released_, {})) {
    if (range.first < end_) {
      BLOCKPULL_CHECK(
          image_.file().punch(range.first * cluster_size(), range.count * cluster_size()));
    }
  }
  BLOCKPULL_TRY(file_size, image_.file().size());
  if (file_size <= end_ * cluster_size()) {
    return {};
  }
  BLOCKPULL_CHECK(cut_off(end_ * cluster_size()));
  // If we die here, the next open sees the longer file. Once the chain is cut no later pull would
  // shorten it, so the header must not become durable before this.
  return image_.file().sync();
}

Result<void> Allocator::cut_off(std::uint64_t end_bytes) {
  if (!held_from_) {
    return image_.file().truncate(end_bytes);
  }
  return end_bytes < *held_from_ ? clear(end_bytes, *held_from_) : Result<void>();
}

/// Clusters that are reserved there later must read as zeros, even if the filesystem cannot punch.
Result<void> Allocator::clear(std::uint64_t from, std::uint64_t to) {
  io::File& file = image_.file();
  BLOCKPULL_CHECK(file.punch(from, to - from));
  const auto fill = [&file](std::uint64_t offset, std::span<std::byte> bytes) -> Result<bool> {
    if (!all_zero(bytes)) {
      std::fill(bytes.begin(), bytes.end(), std::byte{0});
      BLOCKPULL_CHECK(file.write_at(offset, bytes));
    }
    return true;
  };
  BLOCKPULL_CHECK(io::read_content(file, from, to, fill));
  return {};
}

}  // namespace blockpull::image::qcow2
