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

/// The name by which the header of an image should state the file at `target_path`. It leads there
/// from the folder of each of `image_paths`, the names that the image goes by, and from the folder
/// that the image really lies in. `stated` are the names that headers state on the way down today,
/// the image's own first: relative as long as all of them are and a relative name leads there from
/// each folder, else absolute; never one that QEMU would take for a protocol.
///
///     vm/disk ──link──> vm/snap/1 ─"../base"─> vm/base        seen from vm/: not there
[[nodiscard]] Result<std::string> backing_name_for(const std::vector<std::string>& image_paths,
                                                   const std::string& target_path,
                                                   const std::vector<std::string>& stated);

/// kPolicy when `path`, symbolic links resolved, lies in none of `folders`.
[[nodiscard]] Result<void> check_folder_policy(const std::string& path,
                                               const std::vector<std::string>& folders);

}  // namespace blockpull::image
