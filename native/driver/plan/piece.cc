// SPDX-License-Identifier: Apache-2.0

#include "driver/plan/piece.h"

#include <algorithm>
#include <utility>

namespace blockpull::driver {

std::vector<Segment> take_front(std::vector<Segment>& segments, std::uint64_t bytes) {
  std::vector<Segment> front;
  std::vector<Segment> rest;
  for (const Segment& segment : segments) {
    const std::uint64_t before =
        std::min(segment.length, bytes - std::min(bytes, segment.buffer_offset));
    if (before > 0) {
      front.push_back(segment);
      front.back().length = before;
    }
    if (before < segment.length) {
      rest.push_back(segment);
      rest.back().host.value += before;
      rest.back().buffer_offset += before - bytes;
      rest.back().length -= before;
    }
  }
  segments = std::move(rest);
  return front;
}

Piece take_clusters(Piece& piece, std::uint64_t count, std::uint64_t cluster_size) {
  Piece front;
  front.segments = take_front(piece.segments, count * cluster_size);
  front.clusters = count;
  // Only the last cluster of a disk can be short.
  front.guest_bytes = std::min(piece.guest_bytes, count * cluster_size);
  piece.clusters -= count;
  piece.guest_bytes -= front.guest_bytes;
  std::vector<GuestRun> rest;
  for (const GuestRun& run : piece.runs) {
    const std::uint64_t before = std::min(run.count, count);
    if (before > 0) {
      front.runs.push_back({run.first_cluster, before});
    }
    if (before < run.count) {
      rest.push_back({run.first_cluster + before, run.count - before});
    }
    count -= before;
  }
  piece.runs = std::move(rest);
  return front;
}

}  // namespace blockpull::driver
