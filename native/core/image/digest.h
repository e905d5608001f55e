// SPDX-License-Identifier: Apache-2.0
//
// The SHA-256 of what a guest would read, to compare before and after a pull: the same number as
// sha256sum of the disk converted to a raw file. Known zeros are hashed and not read. Blocks for as
// long as the disk takes.

#pragma once

#include <cstdint>
#include <string>

#include "core/image/chain.h"

namespace blockpull::image {

struct Digest {
  /// 64 lower-case hex digits.
  std::string sha256;
  /// The virtual size: how many bytes were hashed.
  std::uint64_t bytes = 0;
};

[[nodiscard]] Result<Digest> digest_guest(const Chain& chain);

}  // namespace blockpull::image
