// SPDX-License-Identifier: Apache-2.0
//
// What can be seen from here of the files that a QEMU has open. QEMU tells names; whether a name
// means the same file here is shown by the process itself:
//
//     QEMU's name ──▶ device and inode here ──▶ among those of /proc/PID/fd?   it is QEMU's file
//
// PID is who made the monitor's socket, or, where something stands in between, the process that
// QEMU's virtual CPUs run in. A QEMU with other mounts, or that we have no right to look into, has
// files that are not seen, and of these nothing is claimed.
//
// Thread rule: on a thread that may block: it looks at files.

#pragma once

#include <vector>

#include "core/image/chain.h"
#include "driver/qemu/block_graph.h"

namespace blockpull::driver::qemu {

/// Fills in what is seen of each image, of a QEMU that is one of these processes or has one of them
/// as a thread.
void see_files(BlockGraph& graph, const std::vector<int>& processes);

/// Those images, top first, as QEMU has them open: read-only and without locks. Fails with the
/// reason where one is not seen, or cannot be read.
[[nodiscard]] Result<image::Chain> open_beside_qemu(const std::vector<BlockNode>& layers);

/// Whether QEMU has handed it to the kernel is for a flush to see to; this makes durable what it
/// has, also where QEMU ignores flushes of a node. An image that is not seen is left alone. kIo.
[[nodiscard]] Result<void> sync_beside_qemu(const BlockNode& image);

/// Why that image is not seen, for a sentence; "" where it is.
[[nodiscard]] std::string why_unseen(const BlockNode& image);

}  // namespace blockpull::driver::qemu
