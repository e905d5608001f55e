// SPDX-License-Identifier: Apache-2.0
//
// A plan that reads: everything that a pull would move is read, and nothing of it kept, to find
// before a pull begins what would make it fail on its way.
//
//     PullPlanner ─▶ segments ─┬─ zeros        nothing is read
//                              ├─ data         read; where that fails, again cluster by cluster
//                              └─ compressed   read and inflated
//                                     │
//                       the errors that the mover would end with; each cluster once
//
// It reads as the mover does, past the page cache where that can be: a copy in memory would hide
// the sector that is gone. What it finds holds for the files as they were opened; at the end it
// looks whether they still are (`layer_watch.h`). One request after another, since a plan must not
// take the disk from those who work.
//
// Not done: reading the active image's own data, which a pull does not touch either.
//
// Thread rule: one call at a time, on a thread that may block.

#pragma once

#include <cstdint>
#include <vector>

#include "core/base/walk_watch.h"
#include "driver/plan/pull_target.h"

namespace blockpull::driver {

/// Most clusters that are told of; nothing is read after the last of them.
inline constexpr std::size_t kMostDamaged = 16;

/// Reads the `bytes_to_move` of a target that has work (`pull_survey.h`). Gives what a pull would
/// fail with, in the order of the disk: the host offset is the error's offset, the guest's is in
/// its hint. Where a layer has been changed meanwhile, kLocked and nothing else is in it. The call
/// fails with kCancelled where nobody wants it any more.
[[nodiscard]] Result<std::vector<Error>> read_trial(const PullTarget& target,
                                                    std::uint64_t bytes_to_move,
                                                    const WalkWatch& watch);

}  // namespace blockpull::driver
