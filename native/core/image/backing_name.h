// SPDX-License-Identifier: Apache-2.0
//
// The names by which images state their backing files: what a name means, and how to name a file.
// `chain.h` has the rules. This uses only strings and the folders that they lead to; it opens no
// image.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace blockpull::image {

/// Whether QEMU would take `name` for a protocol ("nbd://…", "json:…"): a colon before the first
/// slash.
[[nodiscard]] bool has_protocol(std::string_view name);

/// The path that `name`, found in the header of `overlay_path`, stands for. kPolicy for a protocol.
[[nodiscard]] Result<std::string> resolve_backing(const std::string& overlay_path,
                                                  const std::string& name);

/// The name by which an image's header should state the file at `target_path`. The name leads there
/// from the folder of each of `image_paths`, which are names of the image, and from the folder in
/// which the image really lies. `stated` are the names that headers state today on the way down,
/// the image's own first. The result is relative if all of them are and a relative name leads there
/// from each folder, otherwise absolute. It is never a name that QEMU would take for a protocol.
///
///     vm/disk ──link──> vm/snap/1 ─"../base"─> vm/base        seen from vm/: not there
[[nodiscard]] Result<std::string> backing_name_for(const std::vector<std::string>& image_paths,
                                                   const std::string& target_path,
                                                   const std::vector<std::string>& stated);

/// kPolicy if `path`, with symbolic links resolved, is in none of `folders`.
[[nodiscard]] Result<void> check_folder_policy(const std::string& path,
                                               const std::vector<std::string>& folders);

}  // namespace blockpull::image
