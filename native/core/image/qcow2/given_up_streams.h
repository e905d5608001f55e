// SPDX-License-Identifier: Apache-2.0
//
// Compressed clusters that QEMU has given up, at the end of a file: overwritten by the guest, or
// written by a process that died before it linked them. QEMU puts one stream right behind the
// other, so nothing of a cluster's length tells where such an end came from.
//
//     … │ last thing in use │ … │ stream │ stream │ stre ¦ am │ stream │   the file ends here
//                               a cluster begins         a cluster begins
//
// The first of them begins with a cluster, or right behind a stream that is in use. Each ends with
// the cluster that it makes; foreign bytes hardly do, but for those of another image.
//
// Thread rule: one thread at a time, on one that may block. Only reads.

#pragma once

#include <cstdint>

#include "core/base/result.h"
#include "core/image/qcow2/qcow2_image.h"

namespace blockpull::image::qcow2 {

/// Offsets in the file.
struct TrailingRange {
  std::uint64_t end_of_use = 0;
  /// The first byte behind that which is not zero.
  std::uint64_t first_nonzero = 0;
  std::uint64_t file_size = 0;
};

/// Whether the file ends with nothing but such streams, from the end of use on, or from where the
/// next cluster or one of the last 100 begins; zeros may follow them. False where that is not found
/// within 1,000 streams.
[[nodiscard]] Result<bool> ends_with_given_up_streams(Qcow2Image& image,
                                                      const TrailingRange& range);

}  // namespace blockpull::image::qcow2
