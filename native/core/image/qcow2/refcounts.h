// SPDX-License-Identifier: Apache-2.0
//
// Refcounts as a flat array over host clusters, through the image's table cache.
//
//     host cluster i ──▶ refcount table [i / per_block] ──▶ block, entry [i % per_block]
//                                        0: no block, every refcount in its range is 0
//
// Thread rule: one thread at a time.

#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "core/base/result.h"
#include "core/image/qcow2/qcow2_image.h"

namespace blockpull::image::qcow2 {

/// Host clusters [first, first + count).
struct ClusterRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  [[nodiscard]] std::uint64_t end() const { return first + count; }
};

class Refcounts {
 public:
  explicit Refcounts(Qcow2Image& image) : image_(image) {}

  /// Number of entries that the refcount table has room for.
  [[nodiscard]] std::uint64_t table_entries() const;
  [[nodiscard]] std::uint64_t per_block() const { return image_.header().refcounts_per_block(); }

  /// Host offset of block `index`, 0 if there is none. kImageCorrupt if it cannot be a block.
  [[nodiscard]] Result<std::uint64_t> block_offset(std::uint64_t index);

  /// Sets every refcount of `range`, in existing blocks. The value must fit into the width.
  [[nodiscard]] Result<void> set(ClusterRange range, std::uint64_t value);

  /// Puts another refcount table into use, which is durable: one write of 12 bytes in the header.
  /// Durable when it returns. If we die in it, the next open sees the old table or the new one.
  [[nodiscard]] Result<void> switch_table(std::uint64_t offset, std::uint64_t clusters);

  /// A refcount table would be larger than QEMU accepts.
  [[nodiscard]] Error table_too_large() const;

  /// Calls `visit(clusters, entries)` for every slice of block `index`: the raw bytes of the
  /// entries of these host clusters.
  using Visit =
      std::function<Result<void>(ClusterRange clusters, std::span<const std::byte> entries)>;
  [[nodiscard]] Result<void> visit_block(std::uint64_t index, const Visit& visit);

 private:
  [[nodiscard]] Result<void> set_in_block(std::uint64_t block, ClusterRange entries,
                                          std::uint64_t value);

  Qcow2Image& image_;
};

}  // namespace blockpull::image::qcow2
