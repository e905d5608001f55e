// SPDX-License-Identifier: Apache-2.0
//
// What a running guest has, at one moment: who serves its monitor, its images, and its jobs. Only
// queries are sent, and of those only what no QEMU ends over (block_graph.h says which do that).
//
//     reach ─▶ query-block ─▶ x-debug-query-block-graph ─▶ query-block-jobs ─▶ the view
//                                                               │
//              a storage daemon has no devices to tell of:      └─▶ its nodes ─▶ the view
//              they are listed once no job has concluded
//
// Thread rule: any thread; `then` runs on the reactor's thread.

#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/qmp/commands.h"
#include "core/qmp/monitor.h"
#include "driver/qemu/block_graph.h"

namespace blockpull::driver {

struct GuestView {
  qmp::Peer peer;
  BlockGraph graph;
  std::vector<qmp::BlockJob> jobs;
};

/// kMonitorLost when nobody listens, kMonitorBusy, kMonitorTimeout; kJobActive when somebody keeps
/// a concluded job in a storage daemon.
void view_guest(const std::shared_ptr<qmp::Monitor>& monitor,
                std::function<void(Result<GuestView>)> then);

}  // namespace blockpull::driver
