// SPDX-License-Identifier: Apache-2.0
//
// Makes what a running QEMU has written to a node durable. QMP has no command for it, so:
//
//     qemu-system            human-monitor-command: qemu-io NODE flush
//     qemu-storage-daemon    an NBD export of the node, read-only, on a private socket, for as long
//                            as one NBD_CMD_FLUSH takes
//
// Thread rule: any thread; `then` runs on the reactor's thread.

#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/qmp/monitor.h"

namespace blockpull::driver {

/// Once `then` is given success, everything that QEMU has written to that image is on its disk.
/// kIo with QEMU's words, kUnsupported, or what Monitor::Answer says.
void flush_node(const std::shared_ptr<qmp::Monitor>& monitor, const std::string& node,
                std::function<void(Result<void>)> then);

}  // namespace blockpull::driver
