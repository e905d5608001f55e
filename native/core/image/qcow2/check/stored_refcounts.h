// SPDX-License-Identifier: Apache-2.0
//
// The refcounts that an image states, a slice at a time. An entry of the refcount table that cannot
// be right is an answer, not an error. A check looks at every cluster in about the order of the
// file, so the last slice is kept.
//
//     host cluster ──▶ refcount table ──▶ block, a slice of it ──▶ refcount
//                       │ 0, or a block behind the end of the file: 0
//                       └ not a cluster: nothing is known
//
// Thread rule: one thread at a time, and it may block.

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/checked.h"
#include "core/image/qcow2/refcounts.h"

namespace blockpull::image::qcow2 {

class StoredRefcounts {
 public:
  StoredRefcounts(Qcow2Image& image, std::uint64_t file_size);

  /// What the entry of the refcount table says.
  enum class BlockState : std::uint8_t { kAbsent, kThere, kOutside, kReserved, kUnaligned };
  struct Block {
    BlockState state = BlockState::kAbsent;
    /// As the entry states it.
    std::uint64_t entry = 0;
    /// The block to read; 0 if there is none. As in QEMU, also of an entry with reserved bits.
    std::uint64_t offset = 0;
    bool is_known = true;
  };
  [[nodiscard]] Result<Block> block_at(std::uint64_t index);

  /// Number of entries of the refcount table.
  [[nodiscard]] std::uint64_t blocks() const { return blocks_; }
  /// Host clusters of the file, the last one perhaps cut short, and their size as a power of two.
  [[nodiscard]] std::uint64_t file_clusters() const {
    return divide_up(file_size_, image_.cluster_size());
  }
  [[nodiscard]] std::uint32_t cluster_bits() const { return image_.header().cluster_bits; }
  /// A refcount has 2^order bits.
  [[nodiscard]] std::uint32_t order() const { return order_; }

  /// Absent if the block cannot be one.
  [[nodiscard]] Result<std::optional<std::uint64_t>> at(std::uint64_t cluster);

  /// The refcounts of consecutive clusters, `cluster` among them; `entries` is empty if all are 0,
  /// or if `is_known` is false.
  struct Slice {
    ClusterRange clusters;
    std::span<const std::byte> entries;
    bool is_known = true;
  };
  /// Valid until the next call.
  [[nodiscard]] Result<Slice> slice_of(std::uint64_t cluster);

 private:
  Qcow2Image& image_;
  const std::uint64_t file_size_;
  const std::uint64_t blocks_;
  const std::uint64_t per_block_;
  const std::uint32_t order_;
  /// The last answer of slice_of(), and its bytes.
  Slice slice_;
  std::vector<std::byte> bytes_;
};

}  // namespace blockpull::image::qcow2
