// SPDX-License-Identifier: Apache-2.0
//
// The names by which images state their backing files: what a name means, and how to say where a
// file is. `chain.h` has the rules. Only strings and the folders they lead to; no image is opened.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace blockpull::image {

/// Whether QEMU takes `name` for one of a protocol ("nbd://…", "json:…"): a colon before the first
/// slash.
[[nodiscard]] bool has_protocol(std::string_view name);

/// The path that `name`, as found in the header of `overlay_path`, means. kPolicy for a protocol.
[[nodiscard]] Result<std::string> resolve_backing(const std::string& overlay_path,
                                                  const std::string& name);

/// The name by which a header at `overlay_path` should state `target_path`: relative when `like`
/// (the name it states today) is relative, else absolute; never one that QEMU would take for a
/// protocol.
[[nodiscard]] Result<std::string> backing_name_for(const std::string& overlay_path,
                                                   const std::string& target_path,
                                                   const std::string& like);

/// kPolicy when `path`, symbolic links resolved, lies in none of `folders`.
[[nodiscard]] Result<void> check_folder_policy(const std::string& path,
                                               const std::vector<std::string>& folders);

}  // namespace blockpull::image
