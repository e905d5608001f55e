// SPDX-License-Identifier: Apache-2.0
//
// Takes back leaks where they are: lowers each refcount that is above its target. To be used if
// the refcount table and its blocks are sound.
//
//     sync ─ lower ─ sync ─ release the space of clusters that are free now
//
// The first sync is for the tables: a killed process leaves its last writes in memory only.
//
// Crash story: a crash leaves some refcounts lowered and others not. Each is at least the number of
// references.
//
// Thread rule: one thread at a time, and it may block.

#pragma once

#include "core/base/walk_watch.h"
#include "core/image/qcow2/repair/target_refcounts.h"

namespace blockpull::image::qcow2 {

/// Durable when it returns. `stored` is of the same image; what it has read is stale afterwards.
[[nodiscard]] Result<void> lower_refcounts(Qcow2Image& image, StoredRefcounts& stored,
                                           TargetRefcounts& targets, const WalkWatch& watch);

}  // namespace blockpull::image::qcow2
