// SPDX-License-Identifier: Apache-2.0
//
// One piece on its way through the mover, one request of it, and the cluster that it is a strip of.
// Only `mover.cc` and `mover_write.cc` know these; they live in a header of their own because the
// reading and the writing half share them.

#pragma once

#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "driver/local/move/mover.h"

namespace blockpull::driver {

struct Mover::Transfer {
  Moving* owner = nullptr;
  io::Request request;
  /// In the owner's list.
  std::list<std::unique_ptr<Transfer>>::iterator position;
};

/// A cluster that is moved in strips.
struct Mover::ClusterInStrips {
  std::uint64_t guest_cluster = 0;
  std::uint64_t guest_bytes = 0;
  /// Bytes that are neither written nor known to be zeros.
  std::uint64_t bytes_left = 0;
  /// Taken for the first strip that is not zeros.
  std::optional<std::uint64_t> host_cluster;
};

struct Mover::Moving {
  enum class Phase : std::uint8_t { kReading, kInflating, kReady, kWriting };

  /// A run of the buffer that goes to one run of the file.
  struct Write {
    std::uint64_t buffer_offset = 0;
    std::uint64_t host_offset = 0;
    std::uint64_t length = 0;
  };

  Piece piece;
  /// What the piece is a strip of, and where in it; the piece has segments only then.
  ClusterInStrips* strip_of = nullptr;
  std::uint64_t offset_in_cluster = 0;
  std::byte* buffer = nullptr;
  Phase phase = Phase::kReading;
  /// A request or an inflation of this piece has failed: it is never linked.
  bool failed = false;
  bool has_compressed = false;
  /// Where issuing reads has come to: segment, and bytes into it.
  std::size_t segment = 0;
  std::uint64_t segment_done = 0;
  /// Where issuing writes has come to.
  std::vector<Write> writes;
  std::size_t write = 0;
  std::uint64_t write_done = 0;
  std::uint64_t written_clusters = 0;
  image::qcow2::LinkRuns links;
  /// Requests of this piece under way.
  std::list<std::unique_ptr<Transfer>> transfers;

  [[nodiscard]] bool reads_issued() const { return segment == piece.segments.size(); }
  [[nodiscard]] bool writes_issued() const { return write == writes.size(); }
};

}  // namespace blockpull::driver
