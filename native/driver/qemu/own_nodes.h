// SPDX-License-Identifier: Apache-2.0
//
// The nodes that we put into a QEMU for a moment, by name:
//
//     blockpull-<hash of what it is for>-<hash of this process and its monitor>
//
// If we die here, the node stays, and over a disk it blocks other programs' jobs. The next
// blockpull process removes it. It cannot see whether the node's process is still alive. That does
// no harm, since such a process tries again.
//
// Thread rule: any thread.

#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/qmp/monitor.h"

namespace blockpull::driver::qemu {

/// QEMU limits node names to 31 characters. Names for two purposes must differ, and so must the
/// names of two clients for one purpose.
[[nodiscard]] std::string name_of_own_node(const std::string& purpose, const std::string& monitor);

[[nodiscard]] bool is_own_node(std::string_view name);

[[nodiscard]] qmp::Command removal_of_own_node(const std::string& name);

/// Removes those of `names`, the nodes of that QEMU, that other processes have orphaned. Reports
/// nothing: a node that is already gone, or that cannot be removed, does not block a pull.
void remove_orphaned_nodes(const std::shared_ptr<qmp::Monitor>& monitor,
                           const std::vector<std::string>& names);

}  // namespace blockpull::driver::qemu
