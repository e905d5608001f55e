// SPDX-License-Identifier: Apache-2.0
//
// Inflating one compressed cluster. The stream must give at least one cluster; what follows it up
// to the end of its last sector is junk. A deflate stream may be longer than its cluster, or end
// too early once that is full: as in QEMU, the beginning counts. Output is bounded by the cluster
// and nothing is allocated for what a stream says of itself, so a bomb costs no more than a
// cluster. Reentrant: the state lives in the call.

#pragma once

#include <cstddef>
#include <span>

#include "core/base/result.h"
#include "core/image/qcow2/layout.h"

namespace blockpull::image::qcow2 {

/// Fills all of `into`, or says kImageCorrupt (without a path, which the caller knows). Gives how
/// many bytes the stream has; all of `compressed` where it does not end with the cluster.
[[nodiscard]] Result<std::size_t> inflate_cluster(CompressionType type,
                                                  std::span<const std::byte> compressed,
                                                  std::span<std::byte> into);

/// As inflate_cluster(), but of a stream that ends with the cluster, as every writer makes them.
[[nodiscard]] Result<std::size_t> inflate_exactly(CompressionType type,
                                                  std::span<const std::byte> compressed,
                                                  std::span<std::byte> into);

}  // namespace blockpull::image::qcow2
