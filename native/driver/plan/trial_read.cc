// SPDX-License-Identifier: Apache-2.0

#include "driver/plan/trial_read.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <set>
#include <span>
#include <utility>

#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/io/transfer.h"
#include "driver/plan/pull_planner.h"

namespace blockpull::driver {
namespace {

using image::Status;

/// The address alignment that O_DIRECT may require.
constexpr std::size_t kAlignment = 4096;

/// For a format without clusters: the unit to read again after a larger read has failed.
constexpr std::uint64_t kRawUnit = 64 * limits::kKiB;

struct Free {
  void operator()(std::byte* bytes) const { std::free(bytes); }
};

class TrialRead {
 public:
  TrialRead(const PullTarget& target, const WalkWatch& watch)
      : target_(target),
        watch_(watch),
        planner_(target.chain, target.base, target.can_write_zero_clusters(), target.filled()),
        buffer_(static_cast<std::byte*>(std::aligned_alloc(kAlignment, limits::kPiece))) {}

  [[nodiscard]] Result<std::vector<Error>> run(std::uint64_t bytes_to_move) {
    if (buffer_ == nullptr) {
      return make_error(ErrorKind::kIo, "not enough memory to read the data");
    }
    watch_.begin(WalkPhase::kData, bytes_to_move);
    for (bool at_end = false; !at_end && !is_over_;) {
      BLOCKPULL_CHECK(watch_.check());
      BLOCKPULL_TRY(step, planner_.next(limits::kPiece));
      BLOCKPULL_CHECK(read(step.piece));
      at_end = step.at_end;
    }
    if (auto same = target_.layer_watch.check_content(); !same.ok()) {
      // The content may have changed during the reads, so the findings are void.
      found_.assign(1, std::move(same).error());
    }
    return std::move(found_);
  }

 private:
  /// Reads a part of a file into all of `into`.
  [[nodiscard]] Result<void> fill(std::size_t layer, std::uint64_t host,
                                  std::span<std::byte> into) const {
    io::Request request{.op = io::Request::Op::kRead,
                        .file = &layer_image(layer).file(),
                        .offset = host,
                        .buffer = into.data(),
                        .length = into.size(),
                        .done = {}};
    return io::transfer_now(request);
  }

  [[nodiscard]] Result<void> read(const Piece& piece) {
    for (const Segment& segment : piece.segments) {
      if (segment.status == Status::kZero) {
        continue;
      }
      if (is_over_) {
        return {};
      }
      BLOCKPULL_CHECK(watch_.check());
      if (segment.status == Status::kData) {
        BLOCKPULL_CHECK(read_data(piece, segment));
      } else if (!segment.shares_staging) {
        read_compressed(piece, segment);
      }
      done_bytes_ += segment.length;
      watch_.reach(done_bytes_);
    }
    return {};
  }

  [[nodiscard]] Result<void> read_data(const Piece& piece, const Segment& segment) {
    for (std::uint64_t at = 0; at < segment.length && !is_over_;) {
      BLOCKPULL_CHECK(watch_.check());
      const std::uint64_t length = std::min<std::uint64_t>(limits::kPiece, segment.length - at);
      const auto whole =
          fill(segment.layer, segment.host.value + at, std::span(buffer_.get(), length));
      if (!whole.ok() && !find_clusters(piece, segment, at, length)) {
        // No single cluster fails: the disk fails only at times.
        add(whole.error(), segment.layer, segment.host.value + at,
            guest_offset(piece, segment.buffer_offset + at));
      }
      at += length;
    }
    return {};
  }

  /// Reads the parts of a failed read again, one by one. False if no part fails.
  [[nodiscard]] bool find_clusters(const Piece& piece, const Segment& segment, std::uint64_t from,
                                   std::uint64_t length) {
    const std::uint64_t stated = layer_image(segment.layer).cluster_size();
    const std::uint64_t cluster = stated == 0 ? kRawUnit : stated;
    const std::uint64_t unit = std::min<std::uint64_t>(cluster, limits::kPiece);
    bool has_found = false;
    for (std::uint64_t at = from; at < from + length && !is_over_;) {
      const std::uint64_t host = segment.host.value + at;
      const std::uint64_t part = std::min(round_down(host, unit) + unit - host, from + length - at);
      const auto read = fill(segment.layer, host, std::span(buffer_.get(), part));
      if (!read.ok()) {
        has_found = true;
        add(read.error(), segment.layer, round_down(host, cluster),
            guest_offset(piece, segment.buffer_offset + at));
      }
      at += part;
    }
    return has_found;
  }

  void read_compressed(const Piece& piece, const Segment& segment) {
    const image::Image& layer = layer_image(segment.layer);
    compressed_.resize(segment.compressed_length);
    cluster_.resize(layer.cluster_size());
    auto sound = fill(segment.layer, segment.host.value, compressed_);
    if (sound.ok()) {
      sound = layer.inflate(compressed_, cluster_);
    }
    if (!sound.ok()) {
      Error error = std::move(sound).error();
      error.offset = error.offset.value_or(segment.host.value);
      add(std::move(error), segment.layer, segment.host.value,
          guest_offset(piece, segment.buffer_offset));
    }
  }

  /// `host` identifies the cluster within its layer.
  void add(Error error, std::size_t layer, std::uint64_t host, std::uint64_t guest) {
    if (!told_.insert({layer, host}).second) {
      return;
    }
    // Any other kind of error, such as a truncated file, would fail the remaining reads too.
    is_over_ = error.kind != ErrorKind::kIo && error.kind != ErrorKind::kImageCorrupt;
    error.hint = text("it lies at offset ", error.offset.value_or(host),
                      " of that file; what a guest reads from offset ", guest, " on needs it");
    found_.push_back(std::move(error));
    is_over_ = is_over_ || found_.size() == kMostDamaged;
  }

  /// The runs of a piece cover its whole buffer.
  [[nodiscard]] std::uint64_t guest_offset(const Piece& piece, std::uint64_t buffer_offset) const {
    const std::uint64_t size = target_.active().cluster_size();
    std::uint64_t cluster = buffer_offset / size;
    auto run = piece.runs.begin();
    for (; cluster >= run->count; ++run) {
      cluster -= run->count;
    }
    return (run->first_cluster + cluster) * size + buffer_offset % size;
  }

  [[nodiscard]] image::Image& layer_image(std::size_t layer) const {
    return *target_.chain.layers[layer].image;
  }

  const PullTarget& target_;
  const WalkWatch& watch_;
  PullPlanner planner_;
  const std::unique_ptr<std::byte, Free> buffer_;
  std::vector<std::byte> compressed_;
  std::vector<std::byte> cluster_;
  std::vector<Error> found_;
  /// Layers and host offsets of the clusters in `found_`.
  std::set<std::pair<std::size_t, std::uint64_t>> told_;
  std::uint64_t done_bytes_ = 0;
  bool is_over_ = false;
};

}  // namespace

Result<std::vector<Error>> read_trial(const PullTarget& target, std::uint64_t bytes_to_move,
                                      const WalkWatch& watch) {
  return TrialRead(target, watch).run(bytes_to_move);
}

}  // namespace blockpull::driver
