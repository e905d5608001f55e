// SPDX-License-Identifier: Apache-2.0
//
// Whether the filesystem of an image has room for what a pull would write.
//
// Thread rule: any thread; blocks for a statvfs.

#pragma once

#include <string>

#include "driver/pull.h"

namespace blockpull::driver {

/// Fills in the free space for the image at `path`. Adds a refusal if the plan needs more.
void check_space(PullPlan& plan, const std::string& path);

}  // namespace blockpull::driver
