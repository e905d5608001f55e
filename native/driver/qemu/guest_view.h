// SPDX-License-Identifier: Apache-2.0
//
// What a running guest has at one moment: the peer of its monitor, its images, its jobs, and
// whether QEMU may write. Only queries are sent, and only those that end no QEMU (block_graph.h
// names the others).
//
//     reach ─▶ devices ─▶ statistics ─▶ edges ─▶ jobs ─▶ state ─▶ exports ─┬▶ devices again ─▶ the
//                                                                          │                   view
//         a storage daemon has no devices: once no job has concluded,      └▶ nodes, twice ──▶
//
// The images are queried twice. A job of another program that ends in between changes them between
// the answers. If the answers differ they are asked for again, and if they still differ the view
// fails.
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
  /// Nodes that a QEMU with I/O threads exports. QEMU does not say which thread serves an export,
  /// if any does.
  std::vector<std::string> exported_by_threads;
  /// Processes that may be QEMU, or threads of it, for see_files().
  std::vector<int> processes;
};

/// Whether a mirror works on that image. QEMU 7.2 then ends if a filter, such as that of a flush,
/// is put over a disk in an I/O thread.
[[nodiscard]] bool is_mirrored(const GuestView& view, std::size_t node);

using ViewTold = std::function<void(Result<GuestView>)>;

/// QEMU's answers only; nothing is known of the files yet. kMonitorLost if nobody listens,
/// kMonitorBusy, kMonitorTimeout; kJobActive if another program keeps a concluded job in a storage
/// daemon; kQemuError if the answers contradict each other.
void query_guest(const std::shared_ptr<qmp::Monitor>& monitor, ViewTold done);

/// The same, with what is visible of the files. Calls of `done` for one guest come one after
/// another. kClosed if the host has ended.
void view_guest(const std::shared_ptr<job::Host>& host,
                const std::shared_ptr<qmp::Monitor>& monitor, ViewTold done);

}  // namespace blockpull::driver::qemu
