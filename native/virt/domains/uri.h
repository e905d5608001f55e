// SPDX-License-Identifier: Apache-2.0
//
// Connection URIs. One form is supported:
//
//     qemu:///embed?root=DIR      libvirt's own URI for a driver inside the process; DIR is
//                                 absolute, percent-encoded, and holds <name>.xml and <name>.qmp
//
// Every other URI means a daemon, and gets libvirt's answer for a scheme without a driver.

#pragma once

#include <string>
#include <string_view>

#include "virt/words/error_map.h"

namespace blockpull::virt {

/// The folder that `uri` names.
[[nodiscard]] Result<std::string> parse_uri(std::string_view uri);

}  // namespace blockpull::virt
