// SPDX-License-Identifier: Apache-2.0
//
// Counts bytes by the way that they took, and updates the job's counters. Every way counts here
// when it issues. The counters show the bytes that were read, and by which queue.

#pragma once

#include <array>
#include <cstdint>

#include "core/io/request.h"
#include "driver/local/move/way.h"
#include "job/work.h"

namespace blockpull::driver {

class Tally {
 public:
  Tally(job::ProgressCounters& counters, const io::RequestQueue& queue)
      : counters_(counters), queue_(queue) {}

  void add(WayKind way, std::uint64_t bytes) {
    bytes_[static_cast<std::size_t>(way)] += bytes;
    if (way != WayKind::kZeros) {
      counters_.method = queue_.name();
      counters_.moved += bytes;
    }
  }

  [[nodiscard]] std::uint64_t bytes(WayKind way) const {
    return bytes_[static_cast<std::size_t>(way)];
  }

 private:
  job::ProgressCounters& counters_;
  const io::RequestQueue& queue_;
  std::array<std::uint64_t, kWayKinds> bytes_{};
};

}  // namespace blockpull::driver
