// SPDX-License-Identifier: Apache-2.0
//
// Counts bytes by the way that they took, and updates the job's board. Every way counts here when
// it issues. The board shows the bytes that were read, and by which queue.

#pragma once

#include <array>
#include <cstdint>

#include "core/io/request.h"
#include "driver/local/move/way.h"
#include "job/work.h"

namespace blockpull::driver {

class Tally {
 public:
  Tally(job::Board& board, const io::RequestQueue& queue) : board_(board), queue_(queue) {}

  void add(WayKind way, std::uint64_t bytes) {
    bytes_[static_cast<std::size_t>(way)] += bytes;
    if (way != WayKind::kZeros) {
      board_.method = queue_.name();
      board_.moved += bytes;
    }
  }

  [[nodiscard]] std::uint64_t bytes(WayKind way) const {
    return bytes_[static_cast<std::size_t>(way)];
  }

 private:
  job::Board& board_;
  const io::RequestQueue& queue_;
  std::array<std::uint64_t, kWayKinds> bytes_{};
};

}  // namespace blockpull::driver
