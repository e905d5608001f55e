// SPDX-License-Identifier: Apache-2.0
//
// A run of guest bytes with one status, as one layer sees it. `GuestOffset` and `HostOffset` are
// types of their own, so that the commonest mistake of image code does not compile.

#pragma once

#include <compare>
#include <cstdint>

namespace blockpull::image {

/// The unit of virtual sizes, of what compressed clusters take in a file, and of what a disk writes
/// whole.
inline constexpr std::uint64_t kSector = 512;

/// Byte address inside the disk that the guest sees.
struct GuestOffset {
  std::uint64_t value = 0;
  auto operator<=>(const GuestOffset&) const = default;
};

/// Byte address inside the image's file.
struct HostOffset {
  std::uint64_t value = 0;
  auto operator<=>(const HostOffset&) const = default;
};

enum class Status : std::uint8_t {
  /// The layer says nothing; the layer below answers, and zeros where there is none.
  kUnallocated,
  /// Reads as zeros, whatever lies below.
  kZero,
  /// Plain bytes at `host`, in a row.
  kData,
  /// One compressed cluster, or a part of it: see `compressed_*`.
  kCompressed,
};

struct Extent {
  Status status = Status::kUnallocated;
  std::uint64_t length = 0;
  /// kData: where the first byte lies. kCompressed: where the compressed bytes begin.
  HostOffset host{};
  /// kCompressed: bytes to read from `host` (an upper bound: the stream ends earlier, rubbish
  /// follows); at most twice the cluster size, and it may reach past the end of the file.
  std::uint64_t compressed_length = 0;
  /// kCompressed: where this extent begins inside the inflated cluster.
  std::uint64_t offset_in_cluster = 0;
};

}  // namespace blockpull::image
