// SPDX-License-Identifier: Apache-2.0
//
// Domain XML on disk: read whole up to a limit, replaced whole and durably.
//
//     temporary file in the folder ─ write ─ fsync ─ rename over the old one ─ fsync the folder
//
// An open of the name therefore sees the old text or the new one, at any moment and after any
// crash. The new file gets the owner and mode of the old one. A symbolic link is followed, so it
// stays a link.

#pragma once

#include <string>
#include <string_view>

#include "virt/words/error_map.h"

namespace blockpull::virt {

/// Reads at most kXmlBytes; a longer file is an error.
[[nodiscard]] blockpull::Result<std::string> read_xml_file(const std::string& path);

[[nodiscard]] blockpull::Result<void> replace_xml_file(const std::string& path,
                                                       std::string_view xml);

}  // namespace blockpull::virt
