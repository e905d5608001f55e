// SPDX-License-Identifier: Apache-2.0
//
// Copies QEMU's view of a job into the progress counters of the job that tracks it.

#pragma once

#include <algorithm>
#include <cstdint>

#include "core/qmp/commands.h"
#include "job/work.h"

namespace blockpull::driver::qemu {

/// Progress only grows, although a restarted stream passes again over what it has copied.
inline void update_counters(job::ProgressCounters& counters, const qmp::BlockJob& job,
                            std::uint64_t virtual_size, bool is_held) {
  const std::uint64_t offset = std::min(job.offset, virtual_size);
  counters.settled = std::max(counters.settled.load(), offset);
  counters.moved = std::min(counters.settled.load(), counters.to_move.load());
  if (job.is_pending()) {
    counters.phase = job::Phase::kPending;
  } else {
    counters.phase = is_held ? job::Phase::kPaused : job::Phase::kMoving;
  }
}

}  // namespace blockpull::driver::qemu
