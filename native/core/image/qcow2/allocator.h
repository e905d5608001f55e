// SPDX-License-Identifier: Apache-2.0
//
// Where new clusters come from: always above the last cluster in use, in batches, refcounts first.
//
//     │ in use …            │ reserved by us, refcount 1, nothing refers to it yet │
//     0                    end()              ─── reserve() ──▶
//
// The invariant that makes a crash harmless: **at any instant everything that the header reaches is
// durable and has a refcount of at least the number of its references.** The refcounts of a batch
// are therefore written before anything refers into it. They become durable with the flush before
// the link (`link_writer.h`). A crash can leave clusters with a refcount above the number of their
// references: a leak. The next begin() reclaims it, unless an unknown extension or autoclear bit
// might own it.
//
// A batch that no refcount block covers brings new blocks at its beginning:
//
//     │ new refcount blocks │ new refcount table (rarely) │ usable clusters │
//
//     write their contents ─ flush ─ hook them into the table    (a hooked block must be complete)
//     if a block's own cluster is covered by a block that is itself new, it is hooked in a later
//     round, after a flush: otherwise the later hook could become durable without the earlier one
//     table too small: write a larger copy with all hooks in it ─ flush ─ switch the header's 12
//     bytes in one write ─ flush ─ free the old table
//
// Thread rule: one thread at a time. After an error release() and trim() may still be called.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/base/result.h"
#include "core/image/qcow2/refcounts.h"
#include "core/image/qcow2/references.h"
#include "core/image/qcow2/trailing_bytes.h"

namespace blockpull::image::qcow2 {

class Allocator {
 public:
  /// Reads and checks all metadata of `image`; writes nothing. kImageCorrupt also if a refcount is
  /// below the number of references, or above it in a way that only a repair can mend. kCancelled
  /// if nobody wants the result any more.
  [[nodiscard]] static Result<Allocator> open(Qcow2Image& image, const IsWanted& is_wanted);

  /// From now on the file's bytes from `offset` on are not ours. Nothing is reserved there. Where
  /// the file would be truncated, the space before `offset` is cleared instead.
  void hold_from(std::uint64_t offset) { held_from_ = offset; }

  /// Makes the image ours to write: clears unknown autoclear bits durably, reclaims leaks, and
  /// truncates the file behind the last cluster in use.
  [[nodiscard]] Result<void> begin();

  /// Takes `count` contiguous clusters; to be called after begin(). They have space on disk, their
  /// refcounts are written, and they read as zeros, since the file ended where they begin. If the
  /// disk has too little space, kNoSpace leaves everything as it was. After a failed write new
  /// blocks or a new table may already be in use: the clusters stay taken, and every later call
  /// fails too.
  [[nodiscard]] Result<ClusterRange> reserve(std::uint64_t count);

  /// Gives clusters of this session more references than one, before anything refers to them. Not
  /// yet durable.
  [[nodiscard]] Result<void> share(ClusterRange range, std::uint64_t references) {
    return refcounts_.set(range, references);
  }

  /// Releases clusters of this session: refcounts 0, not yet durable.
  [[nodiscard]] Result<void> release(ClusterRange range);

  /// Truncates the file behind the last cluster in use, durably, and releases the space of released
  /// clusters. Their refcounts must be durable.
  [[nodiscard]] Result<void> trim();

  /// One past the last cluster in use.
  [[nodiscard]] std::uint64_t end() const { return end_; }

  /// A write has failed midway, so there may be clusters in use that have no refcount.
  [[nodiscard]] bool has_failed() const { return failed_.has_value(); }

  /// Whether space that nothing refers to certainly belongs to nobody.
  [[nodiscard]] bool owns_all_space() const { return owns_all_space_; }

  /// As found by open(): the exact end of use in bytes, and the end of the last leaked cluster, 0
  /// if there is none.
  [[nodiscard]] const EndOfUse& use() const { return use_; }
  [[nodiscard]] std::uint64_t end_of_use() const { return use_.offset; }
  [[nodiscard]] std::uint64_t leaks_end() const { return leaks_end_; }

 private:
  struct NewBlock {
    /// Index in the refcount table, and the host cluster with the block.
    std::uint64_t index = 0;
    std::uint64_t cluster = 0;
  };

  /// The clusters of one reserve(): blocks and table first, then `usable`.
  struct Batch {
    std::uint64_t first = 0;
    std::uint64_t blocks = 0;
    std::uint64_t table_clusters = 0;
    std::uint64_t usable = 0;
    [[nodiscard]] std::uint64_t total() const { return blocks + table_clusters + usable; }
    [[nodiscard]] ClusterRange range() const { return {first, total()}; }
  };

  explicit Allocator(Qcow2Image& image) : image_(image), refcounts_(image) {}
  [[nodiscard]] Result<void> check_refcounts(const ReferenceMap& references);
  [[nodiscard]] Result<void> check_block(const ReferenceMap& references, std::uint64_t index);
  [[nodiscard]] Result<void> check_entries(const ReferenceMap& references, ClusterRange range,
                                           std::span<const std::byte> entries);
  [[nodiscard]] Result<void> check_surplus();
  [[nodiscard]] Error wrong_refcount(std::uint64_t cluster, const std::string& is) const;
  [[nodiscard]] Error low_refcount(std::uint64_t cluster, std::uint64_t refcount) const;
  [[nodiscard]] Result<void> take_back_leaks();
  [[nodiscard]] Result<void> cut_off(std::uint64_t end_bytes);
  [[nodiscard]] Result<void> clear(std::uint64_t from, std::uint64_t to);
  [[nodiscard]] Result<Batch> plan_batch(std::uint64_t usable);
  [[nodiscard]] Result<std::vector<NewBlock>> missing_blocks(const Batch& batch);
  [[nodiscard]] Result<void> write_refcounts(const Batch& batch,
                                             const std::vector<NewBlock>& blocks);
  [[nodiscard]] Result<void> write_new_blocks(const Batch& batch,
                                              const std::vector<NewBlock>& blocks);
  [[nodiscard]] Result<void> hook(std::vector<NewBlock> blocks);
  [[nodiscard]] Result<void> switch_table(const Batch& batch, const std::vector<NewBlock>& blocks);
  [[nodiscard]] std::uint64_t cluster_size() const { return image_.header().cluster_size(); }

  Qcow2Image& image_;
  Refcounts refcounts_;
  std::uint64_t end_ = 0;
  EndOfUse use_;
  std::uint64_t leaks_end_ = 0;
  std::optional<std::uint64_t> held_from_;
  /// Found by open(): clusters with a refcount that nothing refers to and that certainly belong to
  /// nobody. Not all of them, if there are very many.
  std::vector<ClusterRange> leaks_;
  /// Found by open(): clusters with a refcount above the number of their references, which is here.
  std::map<std::uint64_t, std::uint64_t> surplus_;
  /// Why nothing can be reserved any more.
  std::optional<Error> failed_;
  /// Released in this session.
  std::vector<ClusterRange> released_;
  /// Whether every extension and autoclear bit is known, so that space without a reference is free.
  bool owns_all_space_ = true;
};

}  // namespace blockpull::image::qcow2
