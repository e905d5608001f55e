// SPDX-License-Identifier: Apache-2.0
//
// A guest that was migrated or saved in the middle of a stream may leave an image whose tables
// refer to clusters that nobody has counted:
//
//     the stream's write    cluster 9 taken ─▶ table refers to it     written, the images being
//     its refcount                                                    inactive: skipped
//
// The next QEMU takes cluster 9 for free, and whatever it writes there is two places of the disk at
// once. A pull writes more than any guest, so it is not begun on such an image.
//
// Thread rule: any thread that may block.

#pragma once

#include "driver/qemu/block_graph.h"
#include "driver/qemu/run_state.h"

namespace blockpull::driver::qemu {

/// kImageCorrupt where the file of the active image shows such clusters. Looked at only where the
/// guest was ever migrated or saved, and the file is to be seen from here.
[[nodiscard]] Result<void> check_counted(const RunState& state, const BlockNode& top);

}  // namespace blockpull::driver::qemu
