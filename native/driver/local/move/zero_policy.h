// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a cluster whose bytes are all zeros. It depends on what would show where nothing
// is linked, and on what the image's version can say.

#pragma once

#include <cstdint>

namespace blockpull::driver {

enum class ZeroPolicy : std::uint8_t {
  /// Not linked: without a backing file an unallocated cluster reads as zeros.
  kLeaveOut,
  /// Linked as a zero cluster.
  kZeroCluster,
  /// Written like any other (version 2 over a base).
  kWrite,
};

}  // namespace blockpull::driver
