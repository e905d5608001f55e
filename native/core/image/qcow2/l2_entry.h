// SPDX-License-Identifier: Apache-2.0
//
// The meaning of one L2 entry, as pure functions on its bits. `layout.h` has the drawing.

#pragma once

#include <cstdint>

#include "core/image/extent.h"
#include "core/image/qcow2/layout.h"

namespace blockpull::image::qcow2 {

/// The bytes to read for a compressed cluster: an upper bound, since the stream ends earlier.
struct CompressedCluster {
  /// Host offset, of any alignment.
  std::uint64_t offset = 0;
  /// 1 to twice the cluster size.
  std::uint64_t length = 0;
};

/// For an entry with kCompressed set (section "Compressed Clusters Descriptor").
[[nodiscard]] constexpr CompressedCluster decode_compressed(std::uint64_t entry,
                                                            std::uint32_t cluster_bits) {
  const std::uint32_t offset_bits = 62 - (cluster_bits - 8);
  const std::uint64_t descriptor = entry & (kCompressed - 1);
  const std::uint64_t offset = descriptor & ((std::uint64_t{1} << offset_bits) - 1);
  const std::uint64_t sectors = (descriptor >> offset_bits) + 1;
  return {offset, sectors * kSector - offset % kSector};
}

/// Whether an entry of 8 bytes leaves its cluster to the layer below.
[[nodiscard]] constexpr bool is_absent(std::uint64_t entry) {
  return (entry & (kCompressed | kZero | kOffsetMask)) == 0;
}

/// Whether the copied flag (bit 63) of an entry, in an L1 or L2 table, says what it must: that the
/// refcount of what the entry refers to is 1.
[[nodiscard]] constexpr bool is_copied_right(std::uint64_t entry, std::uint64_t refcount) {
  return ((entry & kCopied) != 0) == (refcount == 1);
}

}  // namespace blockpull::image::qcow2
