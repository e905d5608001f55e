// SPDX-License-Identifier: Apache-2.0
//
// The monitors of this process: one object for each socket, shared by all its users.
//
// Thread rule: any thread.

#pragma once

#include <memory>
#include <string>

#include "core/net/reactor.h"
#include "core/qmp/monitor.h"

namespace blockpull::qmp {

/// The monitor at `path`; it connects on its first use. The first caller's `deadlines` apply.
[[nodiscard]] std::shared_ptr<Monitor> shared_monitor(const std::shared_ptr<net::Reactor>& reactor,
                                                      const std::string& path,
                                                      const Deadlines& deadlines);

}  // namespace blockpull::qmp
