// SPDX-License-Identifier: Apache-2.0
//
// The pull of a shut-off disk, as `virt` calls it: prepare (open, lock, check), then start; or only
// plan. prepare_pull refuses everything that can be refused before one byte is written.
//
// Thread rule: these calls block for a few file operations; never call them on an event loop.

#pragma once

#include <memory>

#include "core/base/walk_watch.h"
#include "driver/pull.h"

namespace blockpull::driver {

/// Plans a pull without taking locks. `refusals` lists what prepare_pull() would refuse, in its
/// order: files in use, and an active image that a pull cannot or must not write to. Then come
/// errors that would stop a pull on its way: unreadable data if `options.reads_data`, and too
/// little free space. Fails, as prepare_pull() would, if the chain cannot be read or has no such
/// base, or the base cannot be stated as requested. kCancelled if nobody wants the result any more.
[[nodiscard]] Result<PullPlan> plan_pull(job::Engine& engine, const PullOptions& options,
                                         const WalkWatch& watch);

/// kJobActive, kLocked, kNoBase, kFeatureUnsupported, kImageCorrupt, …; kCancelled if nobody wants
/// the pull any more. Nothing has been written then.
[[nodiscard]] Result<std::unique_ptr<PreparedPull>> prepare_pull(job::Engine& engine,
                                                                 const PullOptions& options,
                                                                 const IsWanted& is_wanted);

}  // namespace blockpull::driver
