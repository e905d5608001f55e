// SPDX-License-Identifier: Apache-2.0
//
// Reads back the header of an image whose file is not visible from here. QEMU itself reads it: it
// opens a second, read-only node on the file, of which it has nothing in memory.
//
//     query-block-jobs none?
//     blockdev-add     the same file, read-only, without its backing file
//     query-block-jobs none still?
//     query-named-block-nodes
//     blockdev-del
//
// The list of nodes ends a QEMU in which a job has concluded and was not dismissed (block_graph.h).
// So this asks nothing of a QEMU that has any job. The list shows the header's content and whether
// flushes reach the file. It does not show whether everything was copied.
//
// Thread rule: any thread; `done` runs on the reactor's thread.

#pragma once

#include <functional>
#include <memory>

#include "core/qmp/monitor.h"
#include "driver/qemu/stream_witness.h"

namespace blockpull::driver::qemu {

/// What the list of nodes shows of the file; the defaults if QEMU could not be asked.
struct NodeSeen {
  /// Flushes of some node over it have no effect.
  bool ignores_flushes = false;
};

/// kJobFailed if the header is not as promised.
void read_back_by_node(const std::shared_ptr<qmp::Monitor>& monitor, const PromisedHeader& promised,
                       std::function<void(Result<NodeSeen>)> done);

}  // namespace blockpull::driver::qemu
