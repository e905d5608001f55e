// SPDX-License-Identifier: Apache-2.0
//
// SHA-256 as FIPS 180-4 defines it. It is our own, so that a digest needs no library that may be
// missing or differ between machines. It is written for clarity: digests are for comparing, and no
// part of a pull.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace blockpull {

class Sha256 {
 public:
  void update(std::span<const std::byte> bytes);

  /// The digest of everything so far as 64 lower-case hex digits. The object cannot be used
  /// afterwards.
  [[nodiscard]] std::string finish();

 private:
  static constexpr std::size_t kBlock = 64;

  void take_block(const std::byte* block);

  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  /// The bytes of a block that is not full yet.
  std::array<std::byte, kBlock> pending_{};
  std::size_t pending_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;
};

}  // namespace blockpull
