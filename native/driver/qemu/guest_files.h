// SPDX-License-Identifier: Apache-2.0
//
// What this process can see of the files that a QEMU has open. QEMU gives names. Whether a name
// means the same file here is checked at QEMU's process:
//
//     QEMU's name ──▶ device and inode here ──▶ among those of /proc/PID/fd?   it is QEMU's file
//
// PID is the process that made the monitor's socket. If another process relays the monitor, PID is
// the process that runs QEMU's virtual CPUs. Files of a QEMU with other mounts, or of a process
// that we may not inspect, are not visible, and nothing is claimed about them.
//
// Thread rule: on a thread that may block, since it reads files.

#pragma once

#include <vector>

#include "core/image/chain.h"
#include "driver/qemu/block_graph.h"

namespace blockpull::driver::qemu {

/// Fills in what is visible of each image. One of `processes` is QEMU, or a thread of it.
void see_files(BlockGraph& graph, const std::vector<int>& processes);

/// Opens those images, top first, as QEMU has them open: read-only and without locks. Fails with
/// the reason if an image is not visible or cannot be read.
[[nodiscard]] Result<image::Chain> open_beside_qemu(const std::vector<BlockNode>& layers);

/// Makes durable what the kernel has of that image, even if QEMU ignores flushes of a node. It does
/// not cover what QEMU still has in memory; that takes a flush. Does nothing if the image is not
/// visible. kIo.
[[nodiscard]] Result<void> sync_beside_qemu(const BlockNode& image);

/// Why that image is not visible, for an error message; "" if it is.
[[nodiscard]] std::string why_unseen(const BlockNode& image);

}  // namespace blockpull::driver::qemu
