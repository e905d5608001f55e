// SPDX-License-Identifier: Apache-2.0
//
// Inflates one compressed cluster. The stream must give at least one cluster; bytes behind it, up
// to the end of its last sector, are junk. A deflate stream may be longer than its cluster, or
// break off once the cluster is full: as in QEMU, the beginning counts. Output is limited to the
// cluster, and nothing is allocated by what a stream states, so a bomb costs no more than a
// cluster. Reentrant: the state is local to the call.

#pragma once

#include <cstddef>
#include <span>

#include "core/base/result.h"
#include "core/image/qcow2/layout.h"

namespace blockpull::image::qcow2 {

/// Fills all of `into`, or returns kImageCorrupt (without a path, which the caller knows). Returns
/// the length of the stream in bytes; all of `compressed` if it does not end with the cluster.
[[nodiscard]] Result<std::size_t> inflate_cluster(CompressionType type,
                                                  std::span<const std::byte> compressed,
                                                  std::span<std::byte> into);

/// Like inflate_cluster(), but for a stream that ends with the cluster, as every writer makes it.
[[nodiscard]] Result<std::size_t> inflate_exactly(CompressionType type,
                                                  std::span<const std::byte> compressed,
                                                  std::span<std::byte> into);

}  // namespace blockpull::image::qcow2
