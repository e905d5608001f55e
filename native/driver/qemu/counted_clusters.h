// SPDX-License-Identifier: Apache-2.0
//
// A guest that was migrated or saved in the middle of a stream may leave an image whose tables
// refer to clusters without a refcount:
//
//     the stream's write    cluster 9 taken ─▶ table refers to it     written, the images being
//     its refcount                                                    inactive: skipped
//
// The next QEMU treats cluster 9 as free, and what it writes there appears at two places of the
// disk. A pull writes more than any guest, so it does not start on such an image.
//
// Thread rule: any thread that may block.

#pragma once

#include "driver/qemu/block_graph.h"
#include "driver/qemu/run_state.h"

namespace blockpull::driver::qemu {

/// kImageCorrupt if the file of the active image shows such clusters. Checked only if the guest was
/// ever migrated or saved, and the file is visible from here.
[[nodiscard]] Result<void> check_counted(const RunState& state, const BlockNode& top);

}  // namespace blockpull::driver::qemu
