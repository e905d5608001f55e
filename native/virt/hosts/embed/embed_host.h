// SPDX-License-Identifier: Apache-2.0
//
// The host that is this process: domains from a folder of XML or from a description, jobs of our
// own engine or of the domains' QEMUs. The work is in the files beside this one.

#pragma once

#include <memory>

#include "virt/hosts/host.h"
#include "virt/session/connection.h"

namespace blockpull::virt::embed {

/// In the background it adopts what earlier processes left in the domains that run, and brings the
/// XML of what has ended up to date; a read-only host does not. Holds the engine.
[[nodiscard]] Result<std::shared_ptr<Host>> open_host(std::shared_ptr<job::Engine> engine,
                                                      ConnectOptions options, EventSink on_event);

}  // namespace blockpull::virt::embed
