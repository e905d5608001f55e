// SPDX-License-Identifier: Apache-2.0
//
// The SHA-256 of what a guest would read, to compare before and after a pull: the same number as
// sha256sum of the disk converted to a raw file. Known zeros are hashed and not read. A large disk
// takes long, so it can be done in steps; each blocks for what it reads.

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

/// One digest in the making. The chain must stay until it is finished.
class GuestDigest {
 public:
  explicit GuestDigest(const Chain& chain);

  /// Hashes on, by about `bytes`. False when everything has been hashed.
  [[nodiscard]] Result<bool> step(std::uint64_t bytes);

  /// Bytes hashed so far.
  [[nodiscard]] std::uint64_t position() const { return offset_; }

  /// After a step that gave false. Ends the object's use.
  [[nodiscard]] Digest finish();

 private:
  ChainWalk walk_;
  const std::uint64_t size_;
  std::vector<std::byte> buffer_;
  Sha256 hash_;
  std::uint64_t offset_ = 0;
};

}  // namespace blockpull::image
