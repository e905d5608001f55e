// SPDX-License-Identifier: Apache-2.0
//
// The pull of a shut-off disk, as `virt` calls it: prepare (open, lock, judge), then start; or
// plan. Everything that can be refused is refused by prepare_pull, before one byte is written.
//
// Thread rule: these calls block for a few file operations; never call them on an event loop.

#pragma once

#include <memory>

#include "core/base/walk_watch.h"
#include "driver/pull.h"

namespace blockpull::driver {

/// What a pull would do now. Takes no lock; files that somebody uses, and an active image that a
/// pull cannot or must not write to, are among `refusals`, in the order in which prepare_pull()
/// would meet them; what a pull meets on its way comes last: data that cannot be read, where
/// `options.reads_data`, and a filesystem with too little space.
/// Fails when the chain cannot be read, or has no such base or none that can be stated as asked,
/// and also then with what prepare_pull() would say.
/// kCancelled where nobody wants it any more.
[[nodiscard]] Result<PullPlan> plan_pull(job::Engine& engine, const PullOptions& options,
                                         const WalkWatch& watch);

/// kJobActive, kLocked, kNoBase, kFeatureUnsupported, kImageCorrupt, … , kCancelled where nobody
/// wants it any more; nothing has been written then.
[[nodiscard]] Result<std::unique_ptr<PreparedPull>> prepare_pull(job::Engine& engine,
                                                                 const PullOptions& options,
                                                                 const IsWanted& is_wanted);

}  // namespace blockpull::driver
