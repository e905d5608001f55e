// SPDX-License-Identifier: Apache-2.0
//
// What QEMU lists of a job, as the board of the job that follows it shows it.

#pragma once

#include <algorithm>
#include <cstdint>

#include "core/qmp/commands.h"
#include "job/work.h"

namespace blockpull::driver::qemu {

/// Progress only grows: a stream that is begun again goes over what it has copied once more.
inline void show_on_board(job::Board& board, const qmp::BlockJob& job, std::uint64_t virtual_size,
                          bool is_held) {
  const std::uint64_t offset = std::min(job.offset, virtual_size);
  board.settled = std::max(board.settled.load(), offset);
  board.moved = std::min(board.settled.load(), board.to_move.load());
  if (job.is_pending()) {
    board.phase = job::Phase::kPending;
  } else {
    board.phase = is_held ? job::Phase::kPaused : job::Phase::kMoving;
  }
}

}  // namespace blockpull::driver::qemu
