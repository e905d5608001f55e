// SPDX-License-Identifier: Apache-2.0
//
// Domain XML on disk: read whole and bounded, replaced whole and durably.
//
//     temporary file in the folder ─ write ─ fsync ─ rename over the old one ─ fsync the folder
//
// so that whoever opens the name, at any moment and after any crash, sees the old text or the new.
// Owner and mode are the old file's; a symbolic link is followed, so that the link stays one.

#pragma once

#include <string>
#include <string_view>

#include "virt/words/error_map.h"

namespace blockpull::virt {

/// At most kXmlBytes; a longer file is an error.
[[nodiscard]] blockpull::Result<std::string> read_xml_file(const std::string& path);

[[nodiscard]] blockpull::Result<void> replace_xml_file(const std::string& path,
                                                       std::string_view xml);

}  // namespace blockpull::virt
