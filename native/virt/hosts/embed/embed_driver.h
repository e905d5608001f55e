// SPDX-License-Identifier: Apache-2.0
//
// The host that runs inside this process: domains from a folder of XML or from a description, jobs
// of our own engine or of the domains' QEMUs. The files beside this one do the work.

#pragma once

#include <memory>

#include "virt/hosts/hypervisor_driver.h"
#include "virt/session/connection.h"

namespace blockpull::virt::embed {

/// Opening also adopts, in the background, what earlier processes left in the running domains, and
/// updates the XML after jobs that have ended. A read-only host does neither. The host holds the
/// engine.
[[nodiscard]] Result<std::shared_ptr<HypervisorDriver>> open_embed_driver(
    std::shared_ptr<job::Engine> engine, ConnectOptions options, EventSink on_event);

}  // namespace blockpull::virt::embed
