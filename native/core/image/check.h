// SPDX-License-Identifier: Apache-2.0
//
// Checks and repairs one image file, whatever its format. For a check the file is locked as a
// reader: an image that changes meanwhile would show damage that is not there. For a repair it is
// locked as for a pull, and what was repaired is checked again, as the disk has it.
//
// Thread rule: blocks while the tables are read, unless nobody wants the result any more; never
// call it on an event loop.

#pragma once

#include <optional>
#include <string>

#include "core/base/walk_watch.h"
#include "core/image/image.h"
#include "core/image/qcow2/repair/repair.h"

namespace blockpull::image {

/// kFormatUnknown if the format has no check: raw, QED, and what is no image. kLocked if somebody
/// has the image open for writing. Otherwise as qcow2::check().
[[nodiscard]] Result<qcow2::CheckReport> check_image(const std::string& path,
                                                     std::optional<Format> format,
                                                     const WalkWatch& watch);

struct RepairReport {
  qcow2::CheckReport found;
  /// By a second check, after the repair.
  qcow2::CheckReport left;
};

/// Errors as check_image() and qcow2::repair(); kLocked also if somebody reads the image. If no
/// error is left, the dirty and the corrupt bit are cleared.
[[nodiscard]] Result<RepairReport> repair_image(const std::string& path,
                                                std::optional<Format> format,
                                                qcow2::RepairScope scope, const WalkWatch& watch);

}  // namespace blockpull::image
