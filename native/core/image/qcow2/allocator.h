// SPDX-License-Identifier: Apache-2.0
//
// Where new clusters come from: always above the last cluster in use, in batches, refcounts first.
//
//     │ in use …            │ reserved by us, refcount 1, nothing refers to it yet │
//     0                    end()              ─── reserve() ──▶
//
// The invariant that makes a crash harmless: **at any instant everything that the header reaches is
// durable and has a refcount of at least the number of its references.** So refcounts of a batch
// are written before anything refers into it, and become durable with the flush that precedes the
// link (`link_writer.h`). What a crash can leave is clusters with refcount 1 and no reference: a
// leak, which the next begin() takes back, unless an extension or autoclear bit that we do not know
// might own them.
//
// A batch that no refcount block covers brings new blocks with it, at its head:
//
//     │ new refcount blocks │ new refcount table (rarely) │ usable clusters │
//
//     write their contents ─ flush ─ hook them into the table      (a hooked block must be whole)
//     blocks whose own cluster is covered by a block that is itself new are hooked in later rounds,
//     with a flush between: otherwise the later hook could become durable without the earlier one.
//     table too small: write a larger copy with all hooks in it ─ flush ─ switch the header's 12
//     bytes in one write ─ flush ─ free the old table.
//
// Thread rule: one thread at a time. After an error release() and trim() may still be tried.

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/result.h"
#include "core/image/qcow2/refcounts.h"
#include "core/image/qcow2/references.h"
#include "core/image/qcow2/trailing_bytes.h"

namespace blockpull::image::qcow2 {

class Allocator {
 public:
  /// Reads all metadata of `image` and judges it; writes nothing. kImageCorrupt also where
  /// something that is referred to has refcount 0. kCancelled where nobody wants it any more.
  [[nodiscard]] static Result<Allocator> open(Qcow2Image& image, const IsWanted& is_wanted);

  /// From here on, the file's bytes from `offset` on are not ours: nothing is reserved there, and
  /// where the file would be cut off, what lies before them is cleared.
  void hold_from(std::uint64_t offset) { held_from_ = offset; }

  /// Makes the image ours to write: unknown autoclear bits are cleared and durable, leaks taken
  /// back, and what the file has behind the last cluster in use is cut off.
  [[nodiscard]] Result<void> begin();

  /// Takes `count` clusters in a row, after begin(); they have space on disk, their refcounts are
  /// written, and they read as zeros: the file ended where they begin.
  /// kNoSpace from the space on disk leaves everything as it was. A write that fails does not: new
  /// blocks or a new table may be in use already, so what was taken stays taken, and every later
  /// call fails too.
  [[nodiscard]] Result<ClusterRange> reserve(std::uint64_t count);

  /// Gives clusters of this session back: refcounts 0, not yet durable.
  [[nodiscard]] Result<void> release(ClusterRange range);

  /// Cuts the file off behind the last cluster in use, durably, and gives the space of released
  /// clusters back. The refcounts of what was released must be durable.
  [[nodiscard]] Result<void> trim();

  /// One past the last cluster in use.
  [[nodiscard]] std::uint64_t end() const { return end_; }

  /// A write has failed midway, so clusters may be taken that have no refcount.
  [[nodiscard]] bool has_failed() const { return failed_.has_value(); }

  /// Whether what nothing refers to is certainly nobody's.
  [[nodiscard]] bool owns_all_space() const { return owns_all_space_; }

  /// As open() found it: where use ends to the byte, and where the last leaked cluster does, 0
  /// where there is none.
  [[nodiscard]] const EndOfUse& use() const { return use_; }
  [[nodiscard]] std::uint64_t end_of_use() const { return use_.offset; }
  [[nodiscard]] std::uint64_t leaks_end() const { return leaks_end_; }

 private:
  struct NewBlock {
    /// Index in the refcount table, and the host cluster that holds the block.
    std::uint64_t index = 0;
    std::uint64_t cluster = 0;
  };

  /// What one reserve() will take: blocks and table at the head, then `usable`.
  struct Batch {
    std::uint64_t first = 0;
    std::uint64_t blocks = 0;
    std::uint64_t table_clusters = 0;
    std::uint64_t usable = 0;
    [[nodiscard]] std::uint64_t total() const { return blocks + table_clusters + usable; }
    [[nodiscard]] ClusterRange range() const { return {first, total()}; }
  };

  explicit Allocator(Qcow2Image& image) : image_(image), refcounts_(image) {}
  [[nodiscard]] Result<void> judge_refcounts(const ReferenceMap& references);
  [[nodiscard]] Result<void> judge_block(const ReferenceMap& references, std::uint64_t index);
  [[nodiscard]] Result<void> judge_entries(const ReferenceMap& references, ClusterRange range,
                                           std::span<const std::byte> entries);
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
  /// Found by open(): refcounted, referred to by nothing, and certainly nobody's; not all where
  /// there are very many.
  std::vector<ClusterRange> leaks_;
  /// Why nothing can be reserved any more.
  std::optional<Error> failed_;
  /// Given back in this session.
  std::vector<ClusterRange> released_;
  /// Whether every extension and autoclear bit is known, so that what nothing refers to is free.
  bool owns_all_space_ = true;
};

}  // namespace blockpull::image::qcow2
