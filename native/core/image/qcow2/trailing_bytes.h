// SPDX-License-Identifier: Apache-2.0
//
// What a file has behind the image, and whose it is. Programs put bytes of their own there (a
// checkpoint tool a record with a magic at its end), and QEMU leaves some: a writer that was killed
// whole clusters, a table that was given up an odd end.
//
//     … │ last thing in use │ P │ … bytes … │ end of the file
//
// P is the exact end of use: an L1 table ends with its last entry, a compressed cluster with its
// stream. What lies behind it is
//     nothing     no byte, or zeros
//     leftover    the file ends at a whole cluster and with no magic known to us,
//                 or with exactly a table that QEMU has given up, or compressed clusters in an
//                 image that has others
//     foreign     anything else
//
// A trailer that somebody has padded to whole clusters and that has no known magic is taken for a
// leftover.
//
// Thread rule: one thread at a time, on one that may block. Only reads.

#pragma once

#include <cstdint>

#include "core/base/result.h"
#include "core/image/qcow2/qcow2_image.h"
#include "core/image/qcow2/references.h"

namespace blockpull::image::qcow2 {

struct EndOfUse {
  /// P, in bytes.
  std::uint64_t offset = 0;
  /// The image refers to compressed clusters, so QEMU may have given up others.
  bool has_compressed = false;
};

[[nodiscard]] Result<EndOfUse> end_of_use(Qcow2Image& image, const ReferenceMap& references);

enum class TrailingOwner : std::uint8_t { kNothing, kLeftover, kForeign };

/// Whose the bytes from `use` to the end of the file are.
[[nodiscard]] Result<TrailingOwner> owner_of_trailing(Qcow2Image& image, const EndOfUse& use);

}  // namespace blockpull::image::qcow2
