// SPDX-License-Identifier: Apache-2.0
//
// What a running guest has, at one moment: who serves its monitor, its images, its jobs, and
// whether QEMU may write. Only queries are sent, and of those only what no QEMU ends over
// (block_graph.h says which do that).
//
//     reach ─▶ devices ─▶ statistics ─▶ edges ─▶ jobs ─▶ state ─▶ exports ─┬▶ devices again ─▶ the
//                                                                          │                   view
//         a storage daemon has no devices: once no job has concluded,      └▶ nodes, twice ──▶
//
// The images are asked for twice. A job of another program that ends in between changes them under
// the other answers, so what differs is asked for again, and what goes on differing is refused.
//
// Thread rule: any thread. query_guest calls back on the reactor's thread, view_guest on a thread
// that may block.

#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/qmp/commands.h"
#include "core/qmp/monitor.h"
#include "driver/qemu/block_graph.h"
#include "driver/qemu/run_state.h"
#include "job/host.h"

namespace blockpull::driver::qemu {

struct GuestView {
  qmp::Peer peer;
  BlockGraph graph;
  std::vector<qmp::BlockJob> jobs;
  RunState state;
  /// Nodes that are exported by a QEMU that has I/O threads; which of them serves an export, and
  /// whether one does, is not told.
  std::vector<std::string> exported_by_threads;
  /// Processes that may be QEMU, or threads of it, for see_files().
  std::vector<int> processes;
};

/// Whether a mirror works on that image. QEMU 7.2 ends where a filter, such as that of a flush, is
/// put over a disk in an I/O thread then.
[[nodiscard]] bool is_mirrored(const GuestView& view, std::size_t node);

using ViewTold = std::function<void(Result<GuestView>)>;

/// What QEMU says; nothing is known of the files yet. kMonitorLost when nobody listens,
/// kMonitorBusy, kMonitorTimeout; kJobActive when somebody keeps a concluded job in a storage
/// daemon; kQemuError where the answers contradict each other.
void query_guest(const std::shared_ptr<qmp::Monitor>& monitor, ViewTold done);

/// The same, and what is seen of the files from here. Calls of `done` for one guest come one after
/// another. kClosed where the host has ended.
void view_guest(const std::shared_ptr<job::Host>& host,
                const std::shared_ptr<qmp::Monitor>& monitor, ViewTold done);

}  // namespace blockpull::driver::qemu
