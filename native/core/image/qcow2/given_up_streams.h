// SPDX-License-Identifier: Apache-2.0
//
// Compressed clusters that QEMU has abandoned at the end of a file: overwritten by the guest, or
// written by a process that died before it linked them. QEMU puts one stream right behind the
// other, so the position of such an end proves nothing.
//
//     … │ last thing in use │ … │ stream │ stream │ stre ¦ am │ stream │   the file ends here
//                               a cluster begins         a cluster begins
//
// The first of them begins at a cluster, or right behind a stream in use. Each stream ends where
// its cluster is full; other programs' bytes hardly ever do, except those of another image.
//
// Thread rule: one thread at a time, and it may block. Only reads.

#pragma once

#include <cstdint>

#include "core/base/result.h"
#include "core/image/qcow2/qcow2_image.h"

namespace blockpull::image::qcow2 {

/// Offsets in the file.
struct TrailingRange {
  std::uint64_t end_of_use = 0;
  /// The first byte from the end of use on that is not zero.
  std::uint64_t first_nonzero = 0;
  std::uint64_t file_size = 0;
};

/// Whether the file ends with only such streams, possibly followed by zeros. They may begin at the
/// end of use, at the next cluster, or at one of the last 100 clusters. False if that is not found
/// within 1,000 streams.
[[nodiscard]] Result<bool> ends_with_given_up_streams(Qcow2Image& image,
                                                      const TrailingRange& range);

}  // namespace blockpull::image::qcow2
