// SPDX-License-Identifier: Apache-2.0
//
// The folder of a file: the part of the path that names it, and how to make names in it durable.
//
// Thread rule: any thread. sync_folder() blocks.

#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace blockpull::io {

/// The text up to and including the last slash; empty for a name in the current folder.
[[nodiscard]] std::string_view folder_part(std::string_view path);

/// Makes the names in the folder of `path` durable.
[[nodiscard]] Result<void> sync_folder(const std::string& path);

}  // namespace blockpull::io
