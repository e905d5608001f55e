// SPDX-License-Identifier: Apache-2.0
//
// Checks one image file, whatever its format. The file is locked as a reader: a check of an image
// that changes meanwhile would find damage that is not there.
//
// Thread rule: blocks while the tables are read, unless nobody wants the result any more; never
// call it on an event loop.

#pragma once

#include <optional>
#include <string>

#include "core/base/walk_watch.h"
#include "core/image/image.h"
#include "core/image/qcow2/check/check.h"

namespace blockpull::image {

/// kFormatUnknown if the format has no check: raw, QED, and what is no image. kLocked if somebody
/// has the image open for writing. Otherwise as qcow2::check().
[[nodiscard]] Result<qcow2::CheckReport> check_image(const std::string& path,
                                                     std::optional<Format> format,
                                                     const WalkWatch& watch);

}  // namespace blockpull::image
