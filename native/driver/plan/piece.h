// SPDX-License-Identifier: Apache-2.0
//
// The unit of work that the planner gives to the mover: whole clusters of the active image, and
// where their bytes come from. A strip of a cluster is a piece that has only segments.
//
//     guest     ─[c7 c8]────────[c30]──▶      runs: (7, 2) (30, 1); need not be neighbours
//     buffer    │ c7 │ c8 │ c30 │             always without gaps
//     segments  │ layer 1 │z│ 2 │             tile the buffer; neighbours in one file are one
//
// Under a limit a piece is cut at the number of bytes that the limiter allows next, either between
// two clusters or inside one (`mover.h`, strips).

#pragma once

#include <cstdint>
#include <vector>

#include "core/image/extent.h"

namespace blockpull::driver {

/// Guest clusters of the active image.
struct GuestRun {
  std::uint64_t first_cluster = 0;
  std::uint64_t count = 0;
};

/// Where one part of the buffer comes from.
struct Segment {
  /// kData, kCompressed or kZero.
  image::Status status = image::Status::kZero;
  std::size_t layer = 0;
  image::HostOffset host{};
  std::uint64_t buffer_offset = 0;
  std::uint64_t length = 0;
  std::uint64_t compressed_length = 0;
  std::uint64_t offset_in_cluster = 0;
  /// kCompressed: where the compressed bytes go, behind the clusters. If several segments of a
  /// piece are parts of one compressed cluster, its bytes are read once.
  std::uint64_t staging_offset = 0;
  bool shares_staging = false;
};

/// What a cluster of an image with subclusters lacks; a bit for each subcluster.
struct SubclusterFill {
  /// The host cluster that it has already; 0: none.
  std::uint64_t host_cluster = 0;
  /// To be written, unless they turn out to be zeros.
  std::uint32_t data = 0;
  /// To be marked as zeros.
  std::uint32_t zero = 0;
};

struct Piece {
  std::vector<GuestRun> runs;
  std::vector<Segment> segments;
  std::uint64_t clusters = 0;
  /// Guest bytes in these clusters, without those past the virtual size.
  std::uint64_t guest_bytes = 0;
  /// Room for the compressed bytes of the segments, behind the clusters in the same allocation.
  std::uint64_t staging_bytes = 0;
  /// One for each cluster if the image has subclusters; only what they name is written. Empty
  /// otherwise.
  std::vector<SubclusterFill> fills;

  /// Bytes of the buffer that the segments tile.
  [[nodiscard]] std::uint64_t buffer_bytes() const {
    return segments.empty() ? 0 : segments.back().buffer_offset + segments.back().length;
  }
};

/// Cuts the first `bytes` of a buffer off its segments, none of which may be compressed. Offsets of
/// the rest are counted from the cut.
[[nodiscard]] std::vector<Segment> take_front(std::vector<Segment>& segments, std::uint64_t bytes);

/// Cuts the first `count` clusters off a piece that has more, and neither compressed segments nor
/// subclusters.
[[nodiscard]] Piece take_clusters(Piece& piece, std::uint64_t count, std::uint64_t cluster_size);

}  // namespace blockpull::driver
