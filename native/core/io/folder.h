// SPDX-License-Identifier: Apache-2.0
//
// The folder that a file lies in: what a path says of it, and how a name in it becomes durable.
//
// Thread rule: any thread. sync_folder() blocks.

#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace blockpull::io {

/// The text up to and with the last slash; empty for a name in the current folder.
[[nodiscard]] std::string_view folder_part(std::string_view path);

/// Makes the names in the folder of `path` durable.
[[nodiscard]] Result<void> sync_folder(const std::string& path);

}  // namespace blockpull::io
