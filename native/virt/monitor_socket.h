// SPDX-License-Identifier: Apache-2.0
//
// Whether a guest runs, told by its QMP monitor: a UNIX socket on which QEMU listens as long as it
// lives.
//
//     no socket, or nobody listens (ECONNREFUSED)   shut off
//     somebody accepts, or the backlog is full      running
//
// Nothing is read and nothing is said: QEMU greets the connection and sees it close.

#pragma once

#include <string>

#include "core/base/result.h"

namespace blockpull::virt {

/// False for an empty path. A path that sockaddr_un cannot hold is an error, if a file is there.
[[nodiscard]] blockpull::Result<bool> monitor_answers(const std::string& path);

}  // namespace blockpull::virt
