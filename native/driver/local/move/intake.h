// SPDX-License-Identifier: Apache-2.0
//
// Planned pieces that have not begun. Under a limit the front piece is cut when it begins, to the
// bytes that the limit allows at once.
//
//     front   │ c7 │ c8 │ c9 │      no limit: all of it
//             │ c7 │ ▸ c8 │ c9 │    less, but at least a cluster: whole clusters
//             │▪▸▪▪▪│ c8 │ c9 │     less than a cluster: a strip of it
//
// A piece with compressed bytes or subclusters is never cut.

#pragma once

#include <cstdint>
#include <deque>

#include "driver/local/move/moving.h"
#include "driver/local/move/strips.h"

namespace blockpull::driver {

class Intake {
 public:
  Intake(std::uint64_t cluster_size, Strips& strips)
      : cluster_size_(cluster_size), strips_(strips) {}

  void enqueue(Piece piece);
  void clear();

  [[nodiscard]] bool empty() const { return queued_.empty(); }
  [[nodiscard]] std::uint64_t queued_bytes() const { return queued_bytes_; }

  /// Takes the front of the queue, or its first `most` bytes.
  [[nodiscard]] Moving take(std::uint64_t most);

 private:
  [[nodiscard]] std::uint64_t next_bytes(std::uint64_t most) const;
  void cut_strip(Moving& moving, std::uint64_t bytes);

  const std::uint64_t cluster_size_;
  Strips& strips_;
  std::deque<Piece> queued_;
  /// Bytes in the clusters of `queued_`.
  std::uint64_t queued_bytes_ = 0;
  /// The front of the queue is the rest of this cluster.
  ClusterInStrips* cutting_ = nullptr;
};

}  // namespace blockpull::driver
