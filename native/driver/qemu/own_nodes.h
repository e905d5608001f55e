// SPDX-License-Identifier: Apache-2.0
//
// The nodes that we put into a QEMU for a moment, by name:
//
//     blockpull-<hash of what it is for>-<hash of this process and its monitor>
//
// Who is killed meanwhile leaves one, and over a disk it keeps other programs' jobs off. So whoever
// of us comes next removes it. That it may belong to a process that lives cannot be told by its
// name, and does no harm: that one begins anew.
//
// Thread rule: any thread.

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/qmp/monitor.h"
#include "driver/qemu/block_graph.h"

namespace blockpull::driver::qemu {

/// QEMU's node names end at 31 characters. Those for two purposes must not meet, nor those of two
/// clients for one.
[[nodiscard]] std::string name_of_own_node(const std::string& purpose, const std::string& monitor);

[[nodiscard]] bool is_own_node(std::string_view name);

[[nodiscard]] qmp::Command removal_of_own_node(const std::string& name);

/// Removes those that other processes have left in that QEMU, which has shown `graph`. Tells
/// nobody: one that is gone already, or that cannot go, was not in the way of a pull.
void remove_left_nodes(const std::shared_ptr<qmp::Monitor>& monitor, const BlockGraph& graph);

}  // namespace blockpull::driver::qemu
