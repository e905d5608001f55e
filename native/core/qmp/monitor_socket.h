// SPDX-License-Identifier: Apache-2.0
//
// One connect to a monitor's name. It shows whether the guest runs: a QEMU listens, or nobody does.
// The greeting shows whether that QEMU serves us.
//
// Thread rule: any thread; nothing waits.

#pragma once

#include <string>

#include "core/base/result.h"
#include "core/net/unix_socket.h"

namespace blockpull::qmp {

/// Fails as net::connect_unix() does. Also kUnsupported for an address that is not a path, and
/// kMonitorLost if this process has no file descriptor left.
[[nodiscard]] Result<net::Connecting> connect_monitor(const std::string& path);

}  // namespace blockpull::qmp
