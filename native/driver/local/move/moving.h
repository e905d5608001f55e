// SPDX-License-Identifier: Apache-2.0
//
// The state of one piece on its way from the layers to the active image's file, for all stages.
//
//     phase    waiting ─▶ fetching ─▶ fetched ─▶ placed ─▶ whole, and gone
//              buffer     cursor in    bytes or   cursor in
//                         segments     zeros are  places
//                                      known

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/image/qcow2/link_runs.h"
#include "driver/plan/piece.h"

namespace blockpull::driver {

class Way;

/// A cluster that is moved in strips.
struct ClusterInStrips {
  std::uint64_t guest_cluster = 0;
  std::uint64_t guest_bytes = 0;
  /// Bytes that are neither written nor known to be zeros.
  std::uint64_t bytes_left = 0;
  /// Assigned for the first strip that is not zeros.
  std::optional<std::uint64_t> host_cluster;
};

/// A part of the piece that goes to one contiguous part of the file.
struct Place {
  std::uint64_t offset_in_piece = 0;
  std::uint64_t host_offset = 0;
  std::uint64_t length = 0;
};

/// The next request to issue: the element of a list, and the offset in it.
struct Cursor {
  std::size_t index = 0;
  std::uint64_t bytes = 0;

  void advance(std::uint64_t by, std::uint64_t length) {
    bytes += by;
    if (bytes == length) {
      ++index;
      bytes = 0;
    }
  }
};

struct Moving {
  enum class Phase : std::uint8_t { kWaiting, kFetching, kFetched, kPlaced };

  Piece piece;
  /// The cluster that this is a strip of, and the offset in it. Such a piece has only segments.
  ClusterInStrips* strip_of = nullptr;
  std::uint64_t offset_in_cluster = 0;

  Way* way = nullptr;
  /// nullptr if the way needs none.
  std::byte* buffer = nullptr;
  Phase phase = Phase::kWaiting;
  /// A request or a blocking call of this piece has failed, so the piece is never linked.
  bool failed = false;
  /// A piece with compressed bytes has started to inflate them.
  bool is_inflated = false;
  /// Requests and blocking calls that have not ended.
  std::size_t under_way = 0;

  /// In `piece.segments`.
  Cursor fetched;
  std::vector<Place> places;
  /// In `places`.
  Cursor delivered;
  /// Host clusters in `places`, and the links to make once all of them are in the file.
  std::uint64_t host_clusters = 0;
  image::qcow2::LinkRuns links;

  [[nodiscard]] bool is_fetched() const { return fetched.index == piece.segments.size(); }
  /// Everything that has a place has been written.
  [[nodiscard]] bool is_whole() const {
    return phase == Phase::kPlaced && delivered.index == places.size() && under_way == 0 && !failed;
  }
  /// Bytes that have a place but were not issued.
  [[nodiscard]] std::uint64_t bytes_to_deliver() const {
    std::uint64_t bytes = 0;
    for (std::size_t i = delivered.index; i < places.size(); ++i) {
      bytes += places[i].length;
    }
    return bytes - delivered.bytes;
  }
};

}  // namespace blockpull::driver
