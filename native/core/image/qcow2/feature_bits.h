// SPDX-License-Identifier: Apache-2.0
//
// Changes of the feature bits in the header. Each field has 8 bytes in one sector, so it changes
// completely or not at all.
//
// Thread rule: one thread at a time; blocks until the disk has the change.

#pragma once

#include "core/base/result.h"
#include "core/image/qcow2/qcow2_image.h"

namespace blockpull::image::qcow2 {

/// Clears the autoclear bits that are not known: they promise something that our writes may break.
/// To be called before anything else is written. Durable when it returns.
[[nodiscard]] Result<void> clear_unknown_autoclear(Qcow2Image& image);

/// Clears the dirty and the corrupt bit of an image that has been found sound. Durable when it
/// returns.
[[nodiscard]] Result<void> clear_damage_bits(Qcow2Image& image);

}  // namespace blockpull::image::qcow2
