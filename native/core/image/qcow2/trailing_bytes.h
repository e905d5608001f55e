// SPDX-License-Identifier: Apache-2.0
//
// The bytes behind the image in its file, and whose they are. Programs append bytes of their own,
// such as a checkpoint tool's record with a magic at its end. QEMU leaves some too: a killed writer
// leaves whole clusters, and an abandoned table leaves a part of one.
//
//     … │ last thing in use │ P │ … bytes … │ end of the file
//
// P is the exact end of use: an L1 table ends with its last entry, a compressed cluster with its
// stream. The bytes from P on are
//
//     nothing     if there are none, or only zeros
//     leftover    if the file ends at a whole cluster and with no magic known to us, or so at a
//                 whole subcluster, all of them zeros to a guest; with exactly a table that QEMU
//                 has abandoned; or with compressed clusters in an image that has others
//     foreign     otherwise
//
// A trailer that somebody has padded to whole clusters, without a known magic, is taken for a
// leftover.
//
// Thread rule: one thread at a time, and it may block. Only reads.

#pragma once

#include <cstdint>
#include <optional>

#include "core/base/result.h"
#include "core/image/qcow2/qcow2_image.h"
#include "core/image/qcow2/references.h"

namespace blockpull::image::qcow2 {

struct EndOfUse {
  /// P, in bytes.
  std::uint64_t offset = 0;
  /// The image refers to compressed clusters, so QEMU may have abandoned others.
  bool has_compressed = false;
  /// With subclusters: up to here QEMU may have written data that are zeros now.
  std::uint64_t zeroed_end = 0;
};

[[nodiscard]] Result<EndOfUse> end_of_use(Qcow2Image& image, const ReferenceMap& references);

enum class TrailingOwner : std::uint8_t { kNothing, kLeftover, kForeign };

/// Whose bytes lie from `use` to the end of the file.
[[nodiscard]] Result<TrailingOwner> owner_of_trailing(Qcow2Image& image, const EndOfUse& use);

/// Where foreign bytes begin; absent if there are none.
[[nodiscard]] Result<std::optional<std::uint64_t>> begin_of_foreign(Qcow2Image& image,
                                                                    const ReferenceMap& references);

}  // namespace blockpull::image::qcow2
