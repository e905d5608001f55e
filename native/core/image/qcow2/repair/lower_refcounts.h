// SPDX-License-Identifier: Apache-2.0
//
// Takes back leaks where they are: lowers each refcount that is above its target. To be used if
// the refcount table and its blocks are sound.
//
//     lower ─ sync ─ release the space of clusters that are free now
//
// Crash story: a crash leaves some refcounts lowered and others not. Each is at least the number of
// references.
//
// Thread rule: one thread at a time, and it may block.

#pragma once

#include "core/base/walk_watch.h"
#include "core/image/qcow2/repair/target_refcounts.h"

namespace blockpull::image::qcow2 {

/// Durable when it returns. `stored` is of the same image; what it has read is stale afterwards. No
/// space is released from `kept_from` on, in bytes: another program's bytes may be in a leak.
[[nodiscard]] Result<void> lower_refcounts(Qcow2Image& image, StoredRefcounts& stored,
                                           TargetRefcounts& targets, std::uint64_t kept_from,
                                           const WalkWatch& watch);

}  // namespace blockpull::image::qcow2
