// SPDX-License-Identifier: Apache-2.0
//
// What a pull that allocates clusters does with bytes that a program has appended to the image's
// file. `core/image/qcow2/trailing_bytes.h` decides whose they are.
//
//     refuse    foreign bytes refuse the pull before the first write
//     keep      everything from the end of use on that is not zeros stays at the end of the file;
//               if clusters were leaked there, everything from the last of them on
//     discard   they are overwritten, as `qemu-img rebase` does
//
// Thread rule: one thread at a time, and it may block.

#pragma once

#include <memory>
#include <optional>

#include "core/image/qcow2/allocator.h"
#include "core/image/qcow2/kept_trailer.h"
#include "driver/pull.h"
#include "job/work.h"

namespace blockpull::driver {

struct TrailingFound {
  /// What is kept or discarded; absent if there is nothing.
  std::optional<job::Trailing> told;
  /// Set for kKeep.
  std::unique_ptr<image::qcow2::KeptTrailer> kept;
};

/// For an image that `allocator` has read; reads only. kFeatureUnsupported if there are foreign
/// bytes and the policy does not say what to do with them, or there are too many to keep.
[[nodiscard]] Result<TrailingFound> find_trailing_data(image::Qcow2Image& image,
                                                       const image::qcow2::Allocator& allocator,
                                                       TrailingPolicy wanted);

}  // namespace blockpull::driver
