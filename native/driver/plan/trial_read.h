// SPDX-License-Identifier: Apache-2.0
//
// A plan that also reads: it reads everything that a pull would move and keeps nothing, to find the
// errors that would make the pull fail.
//
//     PullPlanner ─▶ segments ─┬─ zeros        nothing is read
//                              ├─ data         read; where that fails, again cluster by cluster
//                              └─ compressed   read and inflated
//                                     │
//                       the errors that the mover would end with; each cluster once
//
// It reads as the mover does, bypassing the page cache where possible, since a cached copy would
// hide a lost sector. Its findings hold for the files as they were opened; at the end it checks
// that they have not changed (`layer_watch.h`). It sends one request at a time, since a plan must
// not take the disk from running guests.
//
// It does not read the active image's own data: a pull does not touch that either.
//
// Thread rule: one call at a time, on a thread that may block.

#pragma once

#include <cstdint>
#include <vector>

#include "core/base/walk_watch.h"
#include "driver/plan/pull_target.h"

namespace blockpull::driver {

/// The most damaged clusters that are reported; reading stops after the last of them.
inline constexpr std::size_t kMostDamaged = 16;

/// Reads the `bytes_to_move` of a target that has work (`pull_survey.h`). Returns the errors with
/// which a pull would fail, in the order of the disk. The offset of an error is the host's; its
/// hint has the guest's. If a layer was changed during the reads, kLocked is the only error. The
/// call itself fails with kCancelled if nobody wants the result any more.
[[nodiscard]] Result<std::vector<Error>> read_trial(const PullTarget& target,
                                                    std::uint64_t bytes_to_move,
                                                    const WalkWatch& watch);

}  // namespace blockpull::driver
