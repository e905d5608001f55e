// SPDX-License-Identifier: Apache-2.0
//
// The header of an image whose file is not to be seen from here, read back by QEMU itself: by a
// second node that it opens for this, read-only, and that it has nothing of in memory.
//
//     query-block-jobs none?
//     blockdev-add     the same file, read-only, without its backing file
//     query-block-jobs none still?
//     query-named-block-nodes
//     blockdev-del
//
// The list of nodes ends a QEMU in which a job has concluded and was not dismissed (block_graph.h),
// so nothing is asked where QEMU has any job. It tells what the header states, and whether flushes
// reach the file; whether all was copied is not seen by it.
//
// Thread rule: any thread; `done` runs on the reactor's thread.

#pragma once

#include <functional>
#include <memory>

#include "core/qmp/monitor.h"
#include "driver/qemu/stream_witness.h"

namespace blockpull::driver::qemu {

/// What the list of nodes tells of the file; nothing where QEMU could not be asked.
struct NodeSeen {
  /// Flushes of some node over it go nowhere.
  bool ignores_flushes = false;
};

/// Fails with kJobFailed where the header is not as promised.
void read_back_by_node(const std::shared_ptr<qmp::Monitor>& monitor, const PromisedHeader& promised,
                       std::function<void(Result<NodeSeen>)> done);

}  // namespace blockpull::driver::qemu
