// SPDX-License-Identifier: Apache-2.0

#include "driver/local/move/intake.h"

#include <algorithm>
#include <utility>

#include "core/base/checked.h"

namespace blockpull::driver {

void Intake::enqueue(Piece piece) {
  queued_bytes_ += piece.clusters * cluster_size_;
  queued_.push_back(std::move(piece));
}

void Intake::clear() {
  queued_.clear();
  queued_bytes_ = 0;
  cutting_ = nullptr;
}

Moving Intake::take(std::uint64_t most) {
  Moving moving;
  Piece& next = queued_.front();
  const std::uint64_t bytes = next_bytes(most);
  queued_bytes_ -= bytes;
  if (bytes < cluster_size_) {
    cut_strip(moving, bytes);
  } else if (bytes < next.buffer_bytes()) {
    moving.piece = take_clusters(next, bytes / cluster_size_, cluster_size_);
  } else {
    moving.piece = std::move(next);
    queued_.pop_front();
  }
  return moving;
}

std::uint64_t Intake::next_bytes(std::uint64_t most) const {
  const Piece& piece = queued_.front();
  const std::uint64_t all = piece.buffer_bytes();
  if (piece.staging_bytes > 0 || !piece.fills.empty()) {
    return all;
  }
  const std::uint64_t bytes = std::min(most, all);
  return bytes < cluster_size_ ? bytes : round_down(bytes, cluster_size_);
}

/// Cuts the next strip off the cluster at the front of the queue.
void Intake::cut_strip(Moving& moving, std::uint64_t bytes) {
  if (cutting_ == nullptr) {
    if (queued_.front().clusters > 1) {
      queued_.push_front(take_clusters(queued_.front(), 1, cluster_size_));
    }
    cutting_ = &strips_.begin(queued_.front());
  }
  std::vector<Segment>& rest = queued_.front().segments;
  moving.strip_of = cutting_;
  moving.offset_in_cluster = cluster_size_ - queued_.front().buffer_bytes();
  moving.piece.segments = take_front(rest, bytes);
  if (rest.empty()) {
    queued_.pop_front();
    cutting_ = nullptr;
  }
}

}  // namespace blockpull::driver
