// SPDX-License-Identifier: Apache-2.0
//
// Inflating one compressed cluster. The stream must give exactly one cluster; what follows it up to
// the end of its last sector is junk. Output is bounded by the cluster and nothing is allocated for
// what a stream says of itself, so a bomb costs no more than a cluster. Reentrant: the state lives
// in the call.

#pragma once

#include <cstddef>
#include <span>

#include "core/base/result.h"
#include "core/image/qcow2/layout.h"

namespace blockpull::image::qcow2 {

/// Fills all of `into`, or says kImageCorrupt (without a path, which the caller knows).
[[nodiscard]] Result<void> inflate_cluster(CompressionType type,
                                           std::span<const std::byte> compressed,
                                           std::span<std::byte> into);

}  // namespace blockpull::image::qcow2
