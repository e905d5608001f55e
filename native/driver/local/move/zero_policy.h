// SPDX-License-Identifier: Apache-2.0
//
// What to do with a cluster of zeros. It depends on what would show if nothing were linked there,
// and on what the image's version can express.

#pragma once

#include <cstdint>

namespace blockpull::driver {

enum class ZeroPolicy : std::uint8_t {
  /// Not linked: without a backing file an unallocated cluster reads as zeros.
  kLeaveOut,
  /// Linked as a zero cluster.
  kZeroCluster,
  /// Written like any other cluster (version 2 over a base).
  kWrite,
};

}  // namespace blockpull::driver
