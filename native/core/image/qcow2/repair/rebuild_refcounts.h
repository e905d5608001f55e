// SPDX-License-Identifier: Apache-2.0
//
// Writes all refcounts anew, behind everything that the file has, and puts them into use with one
// write of 12 bytes. To be used if refcounts are too low, or if the table or a block cannot be
// right: then nothing tells which clusters are free, and space for a new block can only be behind
// the end.
//
//     │ image, old table and blocks … │ new blocks │ new table │
//                                     └ the blocks count themselves and the table, and no longer
//                                       the old ones
//
//     allocate ─ write blocks and table ─ sync ─ header: offset and size of the table ─ sync
//
// Crash story: a crash leaves the old table or the new one, both whole. Before the switch, the new
// clusters are bytes behind the image, which the next pull or repair cuts off or writes over.
//
// Thread rule: one thread at a time, and it may block.

#pragma once

#include "core/base/walk_watch.h"
#include "core/image/qcow2/repair/target_refcounts.h"

namespace blockpull::image::qcow2 {

/// Durable when it returns. kNoSpace, kFeatureUnsupported (the table would be larger than QEMU
/// accepts): nothing has changed.
[[nodiscard]] Result<void> rebuild_refcounts(Qcow2Image& image, StoredRefcounts& stored,
                                             TargetRefcounts& targets, const WalkWatch& watch);

}  // namespace blockpull::image::qcow2
