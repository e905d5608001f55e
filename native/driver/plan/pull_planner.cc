// SPDX-License-Identifier: Apache-2.0

#include "driver/plan/pull_planner.h"

#include <algorithm>

#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/image/qcow2/subclusters.h"

namespace blockpull::driver {
namespace {

using image::Extent;
using image::GuestOffset;
using image::Owner;
using image::Status;

/// How many table look-ups one call may make before it returns: a few ms of walking at most.
constexpr int kLooks = 256;

/// Compressed bytes in one piece. A piece with the first number of bytes is full. A single cluster
/// that needs more than the second (a fragment from each of hundreds of layers) is refused.
constexpr std::uint64_t kStagingWanted = limits::kPiece;
constexpr std::uint64_t kMostStaging = 16 * limits::kMiB;

/// Zero clusters in one step: they are linked in batches, and a cancel waits for a batch.
constexpr std::uint64_t kMostZeroClusters = 16384;

bool continues(const Segment& last, const Segment& next) {
  return last.status == next.status && last.layer == next.layer &&
         last.status != Status::kCompressed &&
         (last.status == Status::kZero || last.host.value + last.length == next.host.value);
}

/// Gives a compressed segment its place behind the clusters, or the place of another segment that
/// reads the same bytes.
void stage(Piece& piece, Segment& segment) {
  for (const Segment& other : piece.segments) {
    if (other.status == Status::kCompressed && other.layer == segment.layer &&
        other.host == segment.host && other.compressed_length == segment.compressed_length) {
      segment.staging_offset = other.staging_offset;
      segment.shares_staging = true;
      return;
    }
  }
  segment.staging_offset = piece.staging_bytes;
  piece.staging_bytes += segment.compressed_length;
}

void append(Piece& piece, Segment segment) {
  if (!piece.segments.empty() && continues(piece.segments.back(), segment)) {
    piece.segments.back().length += segment.length;
    return;
  }
  if (segment.status == Status::kCompressed) {
    stage(piece, segment);
  }
  piece.segments.push_back(segment);
}

/// Zeros from the end of the segments up to that place of the buffer.
void append_zeros(Piece& piece, std::uint64_t until) {
  const std::uint64_t from = piece.buffer_bytes();
  if (from < until) {
    append(piece, {.status = Status::kZero, .buffer_offset = from, .length = until - from});
  }
}

}  // namespace

PullPlanner::PullPlanner(const image::Chain& chain, std::size_t base, bool can_write_zero_clusters,
                         const image::qcow2::DiskStates* states)
    : chain_(chain),
      walk_(chain),
      base_(base),
      can_write_zero_clusters_(can_write_zero_clusters),
      cluster_size_(chain.active().cluster_size()),
      end_(chain.active().virtual_size()) {
  if (states != nullptr && states->has_snapshots()) {
    missing_.emplace(*chain.active_qcow2(), *states);
  }
  image::Qcow2Image* const active = chain.active_qcow2();
  if (active != nullptr && active->header().has_extended_l2()) {
    subclusters_.emplace(chain, walk_, base);
  }
}

/// The part of `run`, in bytes from the position on, that consists of whole clusters. The last
/// cluster of the disk counts as whole.
std::uint64_t PullPlanner::whole_clusters(std::uint64_t run) const {
  return position_ + run == end_ ? run : round_down(run, cluster_size_);
}

void PullPlanner::settle(PlanStep& step, std::uint64_t length) {
  step.settled += length;
  position_ += length;
}

Piece& PullPlanner::open_piece(PlanStep& step, std::uint64_t guest_bytes) {
  Piece& piece = step.piece;
  const std::uint64_t first = position_ / cluster_size_;
  const std::uint64_t count = divide_up(guest_bytes, cluster_size_);
  if (!piece.runs.empty() && piece.runs.back().first_cluster + piece.runs.back().count == first) {
    piece.runs.back().count += count;
  } else {
    piece.runs.push_back({first, count});
  }
  piece.clusters += count;
  piece.guest_bytes += guest_bytes;
  return piece;
}

Result<PlanStep> PullPlanner::next(std::uint64_t most_bytes) {
  PlanStep step;
  for (int look = 0; look < kLooks && position_ < end_; ++look) {
    const bool is_full =
        step.piece.clusters > 0 && ((step.piece.clusters + 1) * cluster_size_ > most_bytes ||
                                    step.piece.staging_bytes >= kStagingWanted);
    if (step.zeros.count > 0 || is_full) {
      return step;
    }
    BLOCKPULL_CHECK(advance(step, most_bytes));
  }
  step.at_end = position_ >= end_;
  return step;
}

/// The run at the position that the image lacks, or has.
Result<image::qcow2::MissingClusters::Run> PullPlanner::missing() {
  if (missing_) {
    return missing_->at(position_, end_ - position_);
  }
  BLOCKPULL_TRY(own, walk_.who_has(0, 1, GuestOffset{position_}, end_ - position_));
  return image::qcow2::MissingClusters::Run{own.extent.status == Status::kUnallocated,
                                            own.extent.length};
}

Result<void> PullPlanner::advance(PlanStep& step, std::uint64_t most_bytes) {
  if (subclusters_) {
    return advance_subclusters(step);
  }
  BLOCKPULL_TRY(run, missing());
  if (!run.is_missing) {
    settle(step, run.length);
    return {};
  }
  BLOCKPULL_TRY(owner, walk_.who_has(1, base_, GuestOffset{position_}, run.length));
  const std::uint64_t whole = whole_clusters(owner.extent.length);
  if (whole == 0) {
    return plan_mixed(step);
  }
  switch (owner.extent.status) {
    case Status::kUnallocated:
      settle(step, whole);
      return {};
    case Status::kZero:
      return plan_zeros(step, whole, most_bytes);
    case Status::kData:
    case Status::kCompressed:
      break;
  }
  const std::uint64_t used = step.piece.clusters * cluster_size_;
  const std::uint64_t room = std::max(round_down(most_bytes - used, cluster_size_), cluster_size_);
  return add_run(step, owner, std::min(whole, room));
}

/// A run of whole clusters that are data in one intermediate layer.
Result<void> PullPlanner::add_run(PlanStep& step, const Owner& owner, std::uint64_t length) {
  Piece& piece = open_piece(step, length);
  const std::uint64_t buffer_end = piece.clusters * cluster_size_;
  const std::uint64_t padded = round_up(length, cluster_size_);
  const Extent& extent = owner.extent;
  append(piece, {extent.status, owner.layer, extent.host, buffer_end - padded, length,
                 extent.compressed_length, extent.offset_in_cluster});
  if (padded > length) {
    append(piece, {.status = Status::kZero,
                   .buffer_offset = buffer_end - (padded - length),
                   .length = padded - length});
  }
  position_ += length;
  return {};
}

/// Whole clusters that an intermediate layer states as zeros.
Result<void> PullPlanner::plan_zeros(PlanStep& step, std::uint64_t length,
                                     std::uint64_t most_bytes) {
  if (!has_base()) {
    settle(step, length);
    return {};
  }
  BLOCKPULL_TRY(below, walk_.who_has(base_, chain_.layers.size(), GuestOffset{position_}, length));
  const bool reads_zeros =
      below.extent.status == Status::kZero || below.extent.status == Status::kUnallocated;
  const std::uint64_t whole = whole_clusters(below.extent.length);
  if (reads_zeros && whole > 0) {
    settle(step, whole);
    return {};
  }
  const std::uint64_t span = std::max(whole, std::min(length, cluster_size_));
  if (can_write_zero_clusters_) {
    add_zero_clusters(step, span);
    return {};
  }
  const std::uint64_t used = step.piece.clusters * cluster_size_;
  const std::uint64_t room = std::max(round_down(most_bytes - used, cluster_size_), cluster_size_);
  return add_run(step, Owner{.extent = {.status = Status::kZero}}, std::min(span, room));
}

void PullPlanner::add_zero_clusters(PlanStep& step, std::uint64_t length) {
  const std::uint64_t bytes = std::min(length, kMostZeroClusters * cluster_size_);
  step.zeros = {position_ / cluster_size_, divide_up(bytes, cluster_size_)};
  position_ += bytes;
}

/// One cluster whose parts come from several layers.
Result<void> PullPlanner::plan_mixed(PlanStep& step) {
  const std::uint64_t cluster_end = std::min(position_ + cluster_size_, end_);
  bool reads_zeros = true;
  bool unchanged = true;
  for (std::uint64_t at = position_; at < cluster_end;) {
    BLOCKPULL_TRY(above, walk_.who_has(1, base_, GuestOffset{at}, cluster_end - at));
    if (above.extent.status == Status::kData || above.extent.status == Status::kCompressed) {
      return gather(step);
    }
    BLOCKPULL_TRY(below,
                  walk_.who_has(base_, chain_.layers.size(), GuestOffset{at}, above.extent.length));
    const bool below_zero =
        below.extent.status == Status::kZero || below.extent.status == Status::kUnallocated;
    const bool says_zero = above.extent.status == Status::kZero;
    reads_zeros &= says_zero || below_zero;
    unchanged &= !says_zero || below_zero;
    at += below.extent.length;
  }
  if (unchanged) {
    settle(step, cluster_end - position_);
    return {};
  }
  if (reads_zeros && can_write_zero_clusters_) {
    add_zero_clusters(step, cluster_end - position_);
    return {};
  }
  return gather(step);
}

/// Collects one cluster from the layers that have its parts, including the base.
Result<void> PullPlanner::gather(PlanStep& step) {
  const std::uint64_t end = std::min(position_ + cluster_size_, end_);
  Piece& piece = open_piece(step, end - position_);
  BLOCKPULL_CHECK(gather_part(piece, position_, end));
  return finish_cluster(piece, end);
}

/// The part [from, until) of the cluster at the position, which is the last one of the piece.
Result<void> PullPlanner::gather_part(Piece& piece, std::uint64_t from, std::uint64_t until) {
  const std::uint64_t buffer_begin = (piece.clusters - 1) * cluster_size_;
  for (std::uint64_t at = from; at < until;) {
    BLOCKPULL_TRY(owner, walk_.who_has(1, chain_.layers.size(), GuestOffset{at}, until - at));
    const Extent& extent = owner.extent;
    Segment segment{extent.status,
                    owner.layer,
                    extent.host,
                    buffer_begin + (at - position_),
                    extent.length,
                    extent.compressed_length,
                    extent.offset_in_cluster};
    if (extent.status == Status::kUnallocated) {
      segment.status = Status::kZero;
    }
    append(piece, segment);
    at += extent.length;
  }
  return {};
}

/// The segments of the cluster at the position reach up to `end`.
Result<void> PullPlanner::finish_cluster(Piece& piece, std::uint64_t end) {
  if (piece.staging_bytes > kMostStaging) {
    return make_error(
               ErrorKind::kFeatureUnsupported,
               text("cluster at guest offset ", position_, " of '", chain_.layers.front().path,
                    "' has ", piece.staging_bytes, " compressed bytes; the limit is ", kMostStaging,
                    ", so pull or commit some layers first"))
        .with_path(chain_.layers.front().path);
  }
  append_zeros(piece, piece.clusters * cluster_size_);
  position_ = end;
  return {};
}

/// A stretch that needs no work, or one cluster.
Result<void> PullPlanner::advance_subclusters(PlanStep& step) {
  BLOCKPULL_TRY(unchanged, unchanged_clusters());
  if (unchanged > 0) {
    settle(step, unchanged);
    return {};
  }
  const std::uint64_t length = std::min(cluster_size_, end_ - position_);
  BLOCKPULL_TRY(fill, subclusters_->at(position_));
  if (fill.data != 0) {
    return gather_subclusters(step, fill);
  }
  if (fill.zero != 0) {
    step.zero_subclusters = fill.zero;
    add_zero_clusters(step, length);
  } else {
    settle(step, length);
  }
  return {};
}

/// Bytes of whole clusters from the position on that the active image has, or that no intermediate
/// layer has: a sparse disk is passed in a few steps.
Result<std::uint64_t> PullPlanner::unchanged_clusters() {
  BLOCKPULL_TRY(own, walk_.who_has(0, 1, GuestOffset{position_}, end_ - position_));
  if (own.extent.status != Status::kUnallocated) {
    return whole_clusters(own.extent.length);
  }
  BLOCKPULL_TRY(owner, walk_.who_has(1, base_, GuestOffset{position_}, own.extent.length));
  const bool is_unchanged = owner.extent.status == Status::kUnallocated ||
                            (owner.extent.status == Status::kZero && !has_base());
  return is_unchanged ? whole_clusters(owner.extent.length) : std::uint64_t{0};
}

/// Collects the subclusters of one cluster that are to be written; the rest of the buffer is zeros.
Result<void> PullPlanner::gather_subclusters(PlanStep& step, const SubclusterFill& fill) {
  const std::uint64_t end = std::min(position_ + cluster_size_, end_);
  const std::uint64_t size = cluster_size_ / image::qcow2::kSubclusters;
  Piece& piece = open_piece(step, end - position_);
  piece.fills.push_back(fill);
  const std::uint64_t buffer_begin = (piece.clusters - 1) * cluster_size_;
  for (std::uint32_t mask = fill.data; mask != 0;) {
    const image::qcow2::SubclusterRun run = image::qcow2::first_run(mask);
    append_zeros(piece, buffer_begin + run.first * size);
    BLOCKPULL_CHECK(gather_part(piece, position_ + run.first * size,
                                std::min(position_ + run.end * size, end)));
    mask &= ~run.mask();
  }
  return finish_cluster(piece, end);
}

}  // namespace blockpull::driver
