// SPDX-License-Identifier: Apache-2.0

#include "driver/local/local_pull.h"

#include <algorithm>
#include <utility>

#include "core/base/limits.h"
#include "core/base/text.h"

namespace blockpull::driver {
namespace {

/// Longest time between a write and its checkpoint.
constexpr Nanoseconds kCheckpointInterval{5'000'000'000};

/// Most entries without bytes (zero clusters) before a checkpoint, to keep each commit short.
constexpr std::uint64_t kCheckpointClusters = 131072;

/// Most entries to write in all states of the disk before a checkpoint: a commit holds them in
/// memory.
constexpr std::uint64_t kCheckpointEntries = 1048576;

/// Seconds of work to plan ahead under a bandwidth limit.
constexpr std::uint64_t kSecondsAhead = 4;

ZeroPolicy zero_policy(const PullTarget& target) {
  if (!target.keeps_base()) {
    return ZeroPolicy::kLeaveOut;
  }
  return target.can_write_zero_clusters() ? ZeroPolicy::kZeroCluster : ZeroPolicy::kWrite;
}

}  // namespace

LocalPull::LocalPull(std::unique_ptr<PullTarget> target, std::unique_ptr<PullMetadata> metadata)
    : target_(std::move(target)),
      metadata_(std::move(metadata)),
      total_(target_->chain.active().virtual_size()) {}

LocalPull::~LocalPull() = default;

template <typename T>
void LocalPull::on_lane(std::function<Result<T>()> work, std::function<void(Result<T>)> done) {
  lane_busy_ = true;
  auto result = std::make_shared<std::optional<Result<T>>>();
  host_->run_blocking([result, work = std::move(work)] { result->emplace(work()); },
                      [this, result, done = std::move(done)] {
                        lane_busy_ = false;
                        done(std::move(**result));
                        pump();
                      });
}

void LocalPull::start(job::Host& host, job::ProgressCounters& counters,
                      std::function<void(job::Ending)> done) {
  host_ = &host;
  counters_ = &counters;
  done_ = std::move(done);
  if (!target_->has_work) {
    sync_only();
    return;
  }
  mover_ = std::make_unique<Mover>(host, counters, target_->chain, zero_policy(*target_),
                                   [this] { pump(); });
  mover_->set_bandwidth(bandwidth_);
  pump();
}

void LocalPull::stop(job::Stop how) {
  if (!stop_ || how == job::Stop::kAbandon) {
    stop_ = how;
  }
  if (mover_ != nullptr) {
    mover_->stop();
    pump();
  }
}

void LocalPull::set_bandwidth(std::uint64_t bandwidth) {
  bandwidth_ = bandwidth;
  if (mover_ != nullptr) {
    mover_->set_bandwidth(bandwidth);
    pump();
  }
}

/// Nothing to pull: completes, but only after a flush of our own.
void LocalPull::sync_only() {
  counters_->settled = total_;
  stage_ = Stage::kEnd;
  on_lane<void>([this] { return target_->chain.active().file().sync(); },
                [this](Result<void> synced) {
                  if (synced.ok()) {
                    read_back();
                  } else {
                    finish(std::move(synced).error());
                  }
                });
}

void LocalPull::read_back() {
  stage_ = Stage::kEnd;
  on_lane<std::string>([this] { return target_->read_back(); },
                       [this](Result<std::string> doubt) {
                         if (!doubt.ok()) {
                           // A disk that does not hold what was flushed to it may hold anything.
                           // Nothing more is written.
                           finish(std::move(doubt).error());
                           return;
                         }
                         is_verified_ = doubt->empty();
                         warn(std::move(doubt).value());
                         counters_->settled = total_;
                         finish(std::nullopt);
                       });
}

void LocalPull::warn(std::string warning) {
  if (!warning.empty()) {
    warnings_.push_back(std::move(warning));
  }
}

/// A pump that is requested from inside a pump (a buffer is free, a piece has ended) runs
/// afterwards.
void LocalPull::pump() {
  if (pumping_) {
    pump_again_ = true;
    return;
  }
  pumping_ = true;
  do {
    pump_again_ = false;
    pump_once();
  } while (pump_again_);
  pumping_ = false;
}

void LocalPull::pump_once() {
  if (stage_ == Stage::kEnd) {
    return;
  }
  mover_->pump();
  collect_links();
  if (mover_->error() && !error_) {
    fail(*mover_->error());
  }
  if (error_ || stop_) {
    mover_->stop();
    if (mover_->in_flight() == 0 && !lane_busy_) {
      wind_up();
    }
    return;
  }
  if (lane_busy_) {
    return;
  }
  if (stage_ == Stage::kSurvey) {
    survey();
  } else if (stage_ == Stage::kBegin) {
    begin();
  } else if (wants_commit()) {
    commit();
  } else if (wants_refill()) {
    refill();
  } else if (plan_at_end_ && mover_->idle()) {
    complete();
  }
}

void LocalPull::collect_links() {
  if (mover_->links().runs.empty() && mover_->links().guest_bytes == 0) {
    return;
  }
  Mover::Links links = mover_->take_links();
  add_links(std::move(links.runs), links.clusters);
  settle(links.guest_bytes);
}

void LocalPull::add_links(LinkRuns runs, std::uint64_t clusters) {
  if (links_.empty()) {
    links_since_ = host_->clock().now();
  }
  links_.append(std::move(runs));
  link_clusters_ += clusters;
}

bool LocalPull::wants_commit() const {
  if (links_.empty()) {
    return false;
  }
  if (plan_at_end_ && mover_->idle()) {
    return true;
  }
  const std::uint64_t bytes = link_clusters_ * target_->chain.active().cluster_size();
  return bytes >= limits::kCheckpoint || link_clusters_ >= kCheckpointClusters ||
         link_clusters_ * target_->states->count() >= kCheckpointEntries ||
         host_->clock().now() - links_since_ >= kCheckpointInterval;
}

std::uint64_t LocalPull::ahead_bytes() const {
  return bandwidth_ == 0 || bandwidth_ > limits::kCheckpoint / kSecondsAhead
             ? limits::kCheckpoint
             : bandwidth_ * kSecondsAhead;
}

bool LocalPull::wants_refill() const {
  return mover_->missing_clusters() > 0 ||
         (!plan_at_end_ && mover_->queued_bytes() <= ahead_bytes() / 2);
}

void LocalPull::settle(std::uint64_t guest_bytes) {
  counters_->settled = std::min(counters_->settled + guest_bytes, total_);
}

void LocalPull::survey() {
  on_lane<PullMetadata::Totals>([this] { return metadata_->survey(); },
                                [this](Result<PullMetadata::Totals> totals) {
                                  if (!totals.ok()) {
                                    fail(std::move(totals).error());
                                    return;
                                  }
                                  counters_->to_move = totals->bytes_to_move;
                                  if (totals->finished) {
                                    stage_ = Stage::kBegin;
                                  }
                                });
}

void LocalPull::begin() {
  on_lane<void>([this] { return metadata_->begin(); },
                [this](Result<void> begun) {
                  stage_ = Stage::kMove;
                  if (!begun.ok()) {
                    fail(std::move(begun).error());
                  }
                });
}

void LocalPull::refill() {
  const PullMetadata::RefillRequest request{
      .piece_bytes = mover_->piece_bytes(),
      .ahead_bytes =
          plan_at_end_ ? 0 : ahead_bytes() - std::min(ahead_bytes(), mover_->queued_bytes()),
      .missing_clusters = mover_->missing_clusters()};
  on_lane<PullMetadata::Refill>([this, request] { return metadata_->refill(request); },
                                [this](Result<PullMetadata::Refill> refill) {
                                  if (!refill.ok()) {
                                    fail(std::move(refill).error());
                                    return;
                                  }
                                  plan_at_end_ = refill->at_end || plan_at_end_;
                                  for (const ClusterRange& grant : refill->grants) {
                                    mover_->grant(grant);
                                  }
                                  for (Piece& piece : refill->pieces) {
                                    mover_->enqueue(std::move(piece));
                                  }
                                  add_links(std::move(refill->zeros), refill->zero_clusters);
                                  settle(refill->settled);
                                });
}

void LocalPull::commit() {
  auto links = std::make_shared<LinkRuns>(std::exchange(links_, {}));
  link_clusters_ = 0;
  on_lane<void>([this, links] { return metadata_->commit(*links); },
                [this, links](Result<void> committed) {
                  if (committed.ok()) {
                    return;
                  }
                  if (committed.error().kind == ErrorKind::kNoSpace ||
                      committed.error().kind == ErrorKind::kLocked) {
                    // No room for tables: wind_up tries again with the space of unused clusters. Or
                    // a layer was changed: wind_up releases the copies.
                    links_.append(std::move(*links));
                  }
                  fail(std::move(committed).error());
                });
}

void LocalPull::complete() {
  auto unused = std::make_shared<std::vector<ClusterRange>>(mover_->take_unused_grants());
  on_lane<std::string>([this, unused] { return metadata_->complete(*unused); },
                       [this](Result<std::string> completed) {
                         if (!completed.ok()) {
                           fail(std::move(completed).error());
                           return;
                         }
                         warn(std::move(completed).value());
                         read_back();
                       });
}

/// Ends a job that does not complete: keeps what has been moved, if that is still allowed.
void LocalPull::wind_up() {
  Error error =
      error_ ? std::move(*error_)
             : make_error(ErrorKind::kCancelled,
                          text("the pull of '", target_->chain.layers.front().path,
                               "' was aborted; what was copied is kept, pull again to continue"));
  const bool nothing_written = stage_ != Stage::kMove;
  // After a failed flush the disk may hold anything: nothing more is linked or written.
  const bool flush_failed = target_->chain.active().file().sync_failed();
  if (flush_failed || nothing_written || stop_ == job::Stop::kAbandon) {
    finish(std::move(error));
    return;
  }
  stage_ = Stage::kEnd;
  auto links = std::make_shared<LinkRuns>(std::exchange(links_, {}));
  auto unused = std::make_shared<std::vector<ClusterRange>>(mover_->take_unused_grants());
  on_lane<void>([this, links, unused] { return metadata_->wind_up(*links, *unused); },
                [this, error](Result<void> wound_up) {
                  const bool cancelled = error.kind == ErrorKind::kCancelled;
                  // A cancel that could not reach a consistent point on disk is a failure.
                  finish(cancelled && !wound_up.ok() ? std::move(wound_up).error() : error);
                });
}

void LocalPull::fail(Error error) {
  if (error.kind == ErrorKind::kNoSpace && error.bytes_needed == 0) {
    // What is not settled is still missing, even if it has been read already.
    error.bytes_needed = std::min(counters_->to_move.load(), total_ - counters_->settled);
  }
  if (!error_) {
    error_ = std::move(error);
  }
}

void LocalPull::finish(std::optional<Error> error) {
  stage_ = Stage::kEnd;
  if (mover_ != nullptr) {
    // The timer of a limit that was lifted since may still be set.
    mover_->stop();
  }
  job::Ending ending{.error = std::move(error), .released = {}};
  if (metadata_ != nullptr) {
    ending.trailing = metadata_->trailing();
  }
  if (!ending.error) {
    ending.durable = true;
    ending.verified = is_verified_;
    ending.warnings = std::move(warnings_);
    if (ending.verified) {
      ending.released = target_->intermediate_paths();
    }
  }
  done_(std::move(ending));
}

}  // namespace blockpull::driver
