// SPDX-License-Identifier: Apache-2.0
//
// Bytes that a program has put behind the image into its file: what a pull that takes clusters
// there is to do with them. `core/image/qcow2/trailing_bytes.h` says whose they are.
//
//     refuse    foreign bytes refuse the pull before the first write
//     keep      all from the end of use on that is not zeros ends the file again; where clusters
//               have leaked there, all from the last of them on
//     discard   they are overwritten, as `qemu-img rebase` does
//
// Thread rule: one thread at a time, on one that may block.

#pragma once

#include <memory>
#include <optional>

#include "core/image/qcow2/allocator.h"
#include "core/image/qcow2/kept_trailer.h"
#include "driver/pull.h"
#include "job/work.h"

namespace blockpull::driver {

struct TrailingFound {
  /// What is kept or discarded; absent: there is nothing.
  std::optional<job::Trailing> told;
  /// For kKeep.
  std::unique_ptr<image::qcow2::KeptTrailer> kept;
};

/// Of an image that `allocator` has looked at; only reads. kFeatureUnsupported: somebody's bytes
/// are there, and nobody has said what to do with them; or there are too many to keep.
[[nodiscard]] Result<TrailingFound> find_trailing_data(image::Qcow2Image& image,
                                                       const image::qcow2::Allocator& allocator,
                                                       TrailingPolicy wanted);

}  // namespace blockpull::driver
