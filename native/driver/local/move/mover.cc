// SPDX-License-Identifier: Apache-2.0
//
// The reading half, and what both halves share; the writing half is in `mover_write.cc`.

#include "driver/local/move/mover.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/checked.h"
#include "core/base/limits.h"
#include "driver/local/move/moving.h"

namespace blockpull::driver {

using image::Status;

Mover::Mover(job::Host& host, job::Board& board, const image::Chain& chain, ZeroPolicy zeros,
             std::function<void()> changed)
    : host_(host),
      board_(board),
      chain_(chain),
      zeros_(zeros),
      changed_(std::move(changed)),
      read_limiter_(0, host.clock().now()),
      write_limiter_(0, host.clock().now()) {}

Mover::~Mover() = default;

void Mover::set_bandwidth(std::uint64_t bytes_per_second) {
  const Nanoseconds now = host_.clock().now();
  read_limiter_.set_rate(bytes_per_second, now);
  write_limiter_.set_rate(bytes_per_second, now);
}

std::uint64_t Mover::piece_bytes() const {
  const std::uint64_t bytes = read_limiter_.piece(limits::kPiece);
  return std::max(round_down(bytes, cluster_size()), cluster_size());
}

void Mover::enqueue(Piece piece) {
  queued_bytes_ += piece.clusters * cluster_size();
  queued_.push_back(std::move(piece));
}

void Mover::grant(image::qcow2::ClusterRange range) {
  grants_.push_back(range);
  granted_clusters_ += range.count;
  missing_clusters_ = 0;
}

void Mover::stop() {
  stopped_ = true;
  queued_.clear();
  queued_bytes_ = 0;
  cutting_ = nullptr;
  missing_clusters_ = 0;
  if (buffer_ticket_ != 0) {
    host_.buffers().cancel(std::exchange(buffer_ticket_, 0));
  }
  if (timer_ticket_ != 0) {
    host_.cancel_call(std::exchange(timer_ticket_, 0));
  }
  drop_stopped();
}

/// Lets go of pieces that will not go on; those with a request under way go when it ends.
void Mover::drop_stopped() {
  std::erase_if(moving_, [this](const std::unique_ptr<Moving>& moving) {
    const bool gone = moving->transfers.empty() && moving->phase != Moving::Phase::kInflating;
    if (gone) {
      take_back_clusters(*moving);
      host_.buffers().give_back(moving->buffer);
    }
    return gone;
  });
}

/// Host clusters of a piece that will not be linked are unused again, whatever has been written to
/// them.
void Mover::take_back_clusters(const Moving& moving) {
  for (const image::qcow2::LinkRun& run : moving.links) {
    if (!run.zero) {
      grant({run.host_cluster, run.count});
    }
  }
}

void Mover::fail(Error error) {
  if (!error_) {
    error_ = std::move(error);
  }
  stopped_ = true;
}

void Mover::pump() {
  if (stopped_) {
    stop();
    return;
  }
  // Pieces of zeros end as soon as it is their turn. If nothing else is under way, nobody calls
  // again to give their places to the next ones.
  std::size_t pieces = 0;
  do {
    while (issue_reads() && admit()) {
    }
    pieces = moving_.size();
    assign_in_order();
  } while (moving_.size() < pieces);
  issue_writes();
}

/// The next piece begins; if there is no buffer for it, it waits in line. It is asked for only when
/// the limiter lets it be read at once: a slow job holds no buffers that others want.
bool Mover::admit() {
  if (queued_.empty() || buffer_ticket_ != 0 || moving_.size() >= limits::kPiecesInFlight ||
      writes_lag()) {
    return false;
  }
  if (!read_limiter_.may_issue(host_.clock().now())) {
    wake_at(read_limiter_.due());
    return false;
  }
  const std::uint64_t bytes = next_bytes();
  const std::size_t allocation = bytes + queued_.front().staging_bytes;
  std::byte* const buffer = host_.buffers().try_take(allocation);
  if (buffer == nullptr) {
    buffer_ticket_ = host_.buffers().wait_for(allocation, [this, bytes](std::byte* granted) {
      buffer_ticket_ = 0;
      begin_next(bytes, granted);
      changed_();
    });
    return false;
  }
  begin_next(bytes, buffer);
  return true;
}

/// Bytes that the next piece begins with: all of it, or what the limiter lets through at once.
std::uint64_t Mover::next_bytes() const {
  const Piece& piece = queued_.front();
  const std::uint64_t all = piece.buffer_bytes();
  if (read_limiter_.rate() == 0 || piece.staging_bytes > 0) {
    return all;
  }
  const std::uint64_t most = std::min(read_limiter_.piece(limits::kPiece), all);
  return most < cluster_size() ? most : round_down(most, cluster_size());
}

void Mover::begin_next(std::uint64_t bytes, std::byte* buffer) {
  auto moving = std::make_unique<Moving>();
  moving->buffer = buffer;
  queued_bytes_ -= bytes;
  Piece& next = queued_.front();
  if (bytes < cluster_size()) {
    cut_strip(*moving, bytes);
  } else if (bytes < next.buffer_bytes()) {
    moving->piece = take_clusters(next, bytes / cluster_size(), cluster_size());
  } else {
    moving->piece = std::move(next);
    queued_.pop_front();
  }
  moving_.push_back(std::move(moving));
}

/// The next strip of the cluster at the front of the queue.
void Mover::cut_strip(Moving& moving, std::uint64_t bytes) {
  if (cutting_ == nullptr) {
    if (queued_.front().clusters > 1) {
      queued_.push_front(take_clusters(queued_.front(), 1, cluster_size()));
    }
    const Piece& whole = queued_.front();
    cutting_ =
        &in_strips_.emplace_back(ClusterInStrips{.guest_cluster = whole.runs[0].first_cluster,
                                                 .guest_bytes = whole.guest_bytes,
                                                 .bytes_left = cluster_size(),
                                                 .host_cluster = std::nullopt});
  }
  std::vector<Segment>& rest = queued_.front().segments;
  moving.strip_of = cutting_;
  moving.offset_in_cluster = cluster_size() - queued_.front().buffer_bytes();
  moving.piece.segments = take_front(rest, bytes);
  if (rest.empty()) {
    queued_.pop_front();
    cutting_ = nullptr;
  }
}

/// False when the limiter says later.
bool Mover::issue_reads() {
  for (const auto& moving : moving_) {
    if (moving->phase != Moving::Phase::kReading || moving->reads_issued()) {
      continue;
    }
    if (!issue_reads_of(*moving)) {
      return false;
    }
    if (moving->transfers.empty()) {
      reads_ended(*moving);
    }
  }
  return true;
}

/// False when the limiter says later.
bool Mover::issue_reads_of(Moving& moving) {
  while (!moving.reads_issued()) {
    const Segment& segment = moving.piece.segments[moving.segment];
    if (segment.status == Status::kZero) {
      std::memset(moving.buffer + segment.buffer_offset, 0, segment.length);
      ++moving.segment;
      continue;
    }
    const Nanoseconds now = host_.clock().now();
    if (!read_limiter_.may_issue(now)) {
      wake_at(read_limiter_.due());
      return false;
    }
    board_.method = host_.queue().name();
    if (segment.status == Status::kCompressed) {
      read_limiter_.charge(segment.length, now);
      board_.moved += segment.length;
      issue_compressed(moving, segment);
      ++moving.segment;
      continue;
    }
    const std::uint64_t bytes =
        std::min(read_limiter_.piece(limits::kPiece), segment.length - moving.segment_done);
    read_limiter_.charge(bytes, now);
    board_.moved += bytes;
    submit(moving, {.op = io::Request::Op::kRead,
                    .file = &chain_.layers[segment.layer].image->file(),
                    .offset = segment.host.value + moving.segment_done,
                    .buffer = moving.buffer + segment.buffer_offset + moving.segment_done,
                    .length = bytes,
                    .done = {}});
    moving.segment_done += bytes;
    if (moving.segment_done == segment.length) {
      ++moving.segment;
      moving.segment_done = 0;
    }
  }
  return true;
}

void Mover::issue_compressed(Moving& moving, const Segment& segment) {
  moving.has_compressed = true;
  if (segment.shares_staging) {
    return;
  }
  const std::uint64_t at = moving.piece.clusters * cluster_size() + segment.staging_offset;
  submit(moving, {.op = io::Request::Op::kRead,
                  .file = &chain_.layers[segment.layer].image->file(),
                  .offset = segment.host.value,
                  .buffer = moving.buffer + at,
                  .length = segment.compressed_length,
                  .done = {}});
}

void Mover::reads_ended(Moving& moving) {
  if (moving.has_compressed) {
    inflate(moving);
  } else {
    moving.phase = Moving::Phase::kReady;
  }
}

void Mover::inflate(Moving& moving) {
  moving.phase = Moving::Phase::kInflating;
  ++in_flight_;
  auto result = std::make_shared<Result<void>>();
  host_.run_blocking([this, &moving, result] { *result = inflate_segments(moving); },
                     [this, &moving, result] {
                       --in_flight_;
                       moving.phase = Moving::Phase::kReady;
                       if (!result->ok()) {
                         moving.failed = true;
                         fail(std::move(*result).error());
                       }
                       changed_();
                     });
}

/// On a blocking thread.
Result<void> Mover::inflate_segments(const Moving& moving) const {
  std::byte* const staging = moving.buffer + moving.piece.clusters * cluster_size();
  std::vector<std::byte> cluster;
  const std::byte* inflated_from = nullptr;
  for (const Segment& segment : moving.piece.segments) {
    if (segment.status != Status::kCompressed) {
      continue;
    }
    const image::Image& layer = *chain_.layers[segment.layer].image;
    const std::span<std::byte> into(moving.buffer + segment.buffer_offset, segment.length);
    const std::span<const std::byte> from(staging + segment.staging_offset,
                                          segment.compressed_length);
    if (segment.length == layer.cluster_size()) {
      BLOCKPULL_CHECK(layer.inflate(from, into));
      continue;
    }
    if (from.data() != inflated_from) {
      cluster.resize(layer.cluster_size());
      BLOCKPULL_CHECK(layer.inflate(from, cluster));
      inflated_from = from.data();
    }
    std::copy_n(cluster.begin() + static_cast<std::ptrdiff_t>(segment.offset_in_cluster),
                segment.length, into.begin());
  }
  return {};
}

void Mover::submit(Moving& moving, io::Request request) {
  auto transfer = std::make_unique<Transfer>();
  transfer->owner = &moving;
  transfer->request = std::move(request);
  Transfer& submitted = *transfer;
  submitted.request.done = [this, &submitted](Result<void> result) {
    transfer_ended(submitted, std::move(result));
  };
  moving.transfers.push_back(std::move(transfer));
  submitted.position = std::prev(moving.transfers.end());
  ++in_flight_;
  host_.queue().submit(submitted.request);
}

void Mover::transfer_ended(Transfer& transfer, Result<void> result) {
  --in_flight_;
  Moving& moving = *transfer.owner;
  moving.transfers.erase(transfer.position);
  if (!result.ok()) {
    moving.failed = true;
    fail(std::move(result).error());
  }
  if (moving.transfers.empty() && !moving.failed) {
    if (moving.phase == Moving::Phase::kReading && moving.reads_issued() && !stopped_) {
      reads_ended(moving);
    } else if (moving.phase == Moving::Phase::kWriting && moving.writes_issued()) {
      finish(moving);
    }
  }
  changed_();
}

/// One timer for both limiters: the earlier wish counts, pump() asks again.
void Mover::wake_at(Nanoseconds when) {
  if (timer_ticket_ != 0) {
    if (timer_at_ <= when) {
      return;
    }
    host_.cancel_call(timer_ticket_);
  }
  timer_at_ = when;
  timer_ticket_ = host_.call_at(when, [this] {
    timer_ticket_ = 0;
    changed_();
  });
}

}  // namespace blockpull::driver
