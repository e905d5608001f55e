// SPDX-License-Identifier: Apache-2.0
//
// The SHA-256 of what a guest would read, to compare before and after a pull. It equals sha256sum
// of the disk converted to a raw file. Known zeros are hashed without being read. A large disk
// takes long, so the digest can be computed in steps; each step blocks while it reads.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/hash/sha256.h"
#include "core/image/chain_walk.h"

namespace blockpull::image {

struct Digest {
  /// 64 lower-case hex digits.
  std::string sha256;
  /// The virtual size: how many bytes were hashed.
  std::uint64_t bytes = 0;
};

/// One digest in progress. The chain must stay until it is finished.
class GuestDigest {
 public:
  explicit GuestDigest(const Chain& chain);

  /// Hashes about `bytes` more. False if everything has been hashed.
  [[nodiscard]] Result<bool> step(std::uint64_t bytes);

  /// Bytes hashed so far.
  [[nodiscard]] std::uint64_t position() const { return offset_; }

  /// To be called after step() returned false. The object cannot be used afterwards.
  [[nodiscard]] Digest finish();

 private:
  ChainWalk walk_;
  const std::uint64_t size_;
  std::vector<std::byte> buffer_;
  Sha256 hash_;
  std::uint64_t offset_ = 0;
};

}  // namespace blockpull::image
