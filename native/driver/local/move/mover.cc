// SPDX-License-Identifier: Apache-2.0

#include "driver/local/move/mover.h"

#include <algorithm>
#include <utility>

#include "core/base/checked.h"
#include "core/base/limits.h"

namespace blockpull::driver {

using Phase = Moving::Phase;

Mover::Mover(job::Host& host, job::ProgressCounters& counters, const image::Chain& chain,
             ZeroPolicy zeros, std::function<void()> changed)
    : host_(host),
      cluster_size_(chain.active().cluster_size()),
      changed_(std::move(changed)),
      pacing_(host, changed_),
      transfers_(host,
                 [this](Moving& moving, Result<void> result) { ended(moving, std::move(result)); }),
      tally_(counters, host.queue()),
      ways_(chain, zeros, pacing_, transfers_, tally_),
      strips_(zeros),
      intake_(cluster_size_, strips_),
      placing_(cluster_size_, zeros) {}

std::uint64_t Mover::piece_bytes() const {
  return std::max(round_down(pacing_.piece_bytes(), cluster_size_), cluster_size_);
}

void Mover::pump() {
  if (stopped_) {
    stop();
    return;
  }
  // A piece of zeros ends as soon as it is placed, and frees its slot for the next. With nothing
  // else in flight no event would pump again, so this loop continues.
  std::size_t pieces = 0;
  do {
    while (fetch() && begin_next()) {
    }
    pieces = moving_.size();
    place();
  } while (moving_.size() < pieces);
  deliver();
}

/// False if no further piece can begin now.
bool Mover::begin_next() {
  if (intake_.empty() || buffer_ticket_ != 0 || moving_.size() >= limits::kPiecesInFlight ||
      writes_lag() || !pacing_.may_read()) {
    return false;
  }
  Moving& moving =
      moving_.emplace_back(intake_.take(pacing_.is_limited() ? pacing_.piece_bytes() : UINT64_MAX));
  moving.way = &ways_.of(moving.piece);
  return find_buffer(moving);
}

/// False if no buffer is free; the piece then waits for one.
bool Mover::find_buffer(Moving& moving) {
  const std::size_t bytes = moving.way->buffer_bytes(moving.piece);
  if (bytes > 0) {
    moving.buffer = host_.buffers().try_take(bytes);
    if (moving.buffer == nullptr) {
      buffer_ticket_ = host_.buffers().wait_for(bytes, [this, &moving](std::byte* granted) {
        buffer_ticket_ = 0;
        moving.buffer = granted;
        moving.phase = Phase::kFetching;
        changed_();
      });
      return false;
    }
  }
  moving.phase = Phase::kFetching;
  return true;
}

bool Mover::writes_lag() const {
  if (!pacing_.is_limited()) {
    return false;
  }
  std::uint64_t bytes = 0;
  for (const Moving& moving : moving_) {
    bytes += moving.bytes_to_deliver();
  }
  return pacing_.writes_lag(bytes);
}

/// False if the limiter allows nothing now.
bool Mover::fetch() {
  for (Moving& moving : moving_) {
    if (moving.phase != Phase::kFetching) {
      continue;
    }
    const Way::Fetch fetched = moving.way->fetch(moving);
    if (fetched == Way::Fetch::kLater) {
      return false;
    }
    if (fetched == Way::Fetch::kDone) {
      moving.phase = Phase::kFetched;
    }
  }
  return true;
}

/// Places strictly in order: the first piece that is not fetched, or that needs more host clusters
/// than are granted, blocks those behind it.
void Mover::place() {
  for (auto next = moving_.begin(); next != moving_.end();) {
    Moving& moving = *next;
    // finish() may remove the piece from the list.
    ++next;
    if (moving.phase == Phase::kPlaced) {
      continue;
    }
    if (moving.phase != Phase::kFetched || !placing_.place(moving)) {
      return;
    }
    moving.phase = Phase::kPlaced;
    if (moving.is_whole()) {
      finish(moving);
    }
  }
}

void Mover::deliver() {
  for (Moving& moving : moving_) {
    if (moving.phase == Phase::kPlaced && !moving.way->deliver(moving)) {
      return;
    }
  }
}

/// Called when a request or a blocking call of the piece has ended.
void Mover::ended(Moving& moving, Result<void> result) {
  if (!result.ok()) {
    moving.failed = true;
    stopped_ = true;
    if (!error_) {
      error_ = std::move(result).error();
    }
  } else if (moving.is_whole()) {
    finish(moving);
  }
  changed_();
}

/// Called when the whole piece is in the file.
void Mover::finish(Moving& moving) {
  if (moving.strip_of != nullptr) {
    strips_.end(moving);
  }
  links_.guest_bytes += moving.piece.guest_bytes;
  links_.clusters += moving.host_clusters;
  links_.runs.append(std::move(moving.links));
  // Remove the piece first: the next owner of the buffer may pump, and must not find this piece.
  std::list<Moving> finished;
  finished.splice(finished.end(), moving_,
                  std::find_if(moving_.begin(), moving_.end(), [&moving](const Moving& candidate) {
                    return &candidate == &moving;
                  }));
  if (moving.buffer != nullptr) {
    host_.buffers().give_back(moving.buffer);
  }
}

void Mover::stop() {
  stopped_ = true;
  intake_.clear();
  placing_.forget_missing();
  pacing_.stop();
  if (buffer_ticket_ != 0) {
    host_.buffers().cancel(std::exchange(buffer_ticket_, 0));
  }
  drop_stopped();
}

/// Drops pieces that will not continue; those with something in flight go when it ends.
void Mover::drop_stopped() {
  std::erase_if(moving_, [this](const Moving& moving) {
    if (moving.under_way > 0) {
      return false;
    }
    placing_.take_back(moving);
    if (moving.buffer != nullptr) {
      host_.buffers().give_back(moving.buffer);
    }
    return true;
  });
}

std::vector<image::qcow2::ClusterRange> Mover::take_unused_grants() {
  std::vector<image::qcow2::ClusterRange> unused = placing_.take_unused();
  const std::vector<image::qcow2::ClusterRange> unlinked = strips_.take_unlinked();
  unused.insert(unused.end(), unlinked.begin(), unlinked.end());
  return unused;
}

}  // namespace blockpull::driver
