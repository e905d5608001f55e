// SPDX-License-Identifier: Apache-2.0
//
// One connect to a monitor's name. It says whether the guest runs: a QEMU listens, or nobody does.
// Whether that QEMU serves us, its greeting says.
//
// Thread rule: any thread; nothing waits.

#pragma once

#include <string>

#include "core/base/result.h"
#include "core/net/unix_socket.h"

namespace blockpull::qmp {

/// As net::connect_unix(), and also kUnsupported for an address that is no path, and kMonitorLost
/// where this process has no file descriptor left.
[[nodiscard]] Result<net::Connecting> connect_monitor(const std::string& path);

}  // namespace blockpull::qmp
