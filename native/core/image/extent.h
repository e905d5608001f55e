// SPDX-License-Identifier: Apache-2.0
//
// A run of guest bytes with one status, as one layer has it. `GuestOffset` and `HostOffset` are
// separate types, so that the commonest mistake of image code does not compile.

#pragma once

#include <compare>
#include <cstdint>

namespace blockpull::image {

/// The unit of virtual sizes, of compressed clusters in a file, and of what a disk writes
/// atomically.
inline constexpr std::uint64_t kSector = 512;

/// Byte offset in the disk that the guest sees.
struct GuestOffset {
  std::uint64_t value = 0;
  auto operator<=>(const GuestOffset&) const = default;
};

/// Byte offset in the image's file.
struct HostOffset {
  std::uint64_t value = 0;
  auto operator<=>(const HostOffset&) const = default;
};

enum class Status : std::uint8_t {
  /// Not in this layer: the layer below decides, or it reads as zeros if there is none.
  kUnallocated,
  /// Reads as zeros, whatever lies below.
  kZero,
  /// Plain bytes, contiguous from `host` on.
  kData,
  /// One compressed cluster, or a part of it: see `compressed_*`.
  kCompressed,
};

struct Extent {
  Status status = Status::kUnallocated;
  std::uint64_t length = 0;
  /// kData: offset of the first byte. kCompressed: offset of the compressed bytes.
  HostOffset host{};
  /// kCompressed: bytes to read from `host`. This is an upper bound: the stream ends earlier and
  /// junk follows. It is at most twice the cluster size, and may reach past the end of the file.
  std::uint64_t compressed_length = 0;
  /// kCompressed: offset of this extent in the inflated cluster.
  std::uint64_t offset_in_cluster = 0;
};

}  // namespace blockpull::image
