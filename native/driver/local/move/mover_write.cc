// SPDX-License-Identifier: Apache-2.0
//
// The writing half of the mover: host clusters are given out, zeros are left out, and what has been
// written whole becomes links.

#include <algorithm>
#include <span>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/limits.h"
#include "driver/local/move/mover.h"
#include "driver/local/move/moving.h"

namespace blockpull::driver {

/// Pieces whose bytes are there get host clusters, strictly in order: the first that is not ready,
/// or that wants more clusters than are granted, holds up those behind it.
void Mover::assign_in_order() {
  for (auto next = moving_.begin(); next != moving_.end();) {
    Moving& moving = **next;
    // finish() may take the piece out of the list.
    ++next;
    if (moving.phase == Moving::Phase::kWriting) {
      continue;
    }
    if (moving.phase != Moving::Phase::kReady || !assign(moving)) {
      return;
    }
  }
}

bool Mover::assign(Moving& moving) {
  if (moving.strip_of != nullptr) {
    return assign_strip(moving);
  }
  const std::uint64_t size = cluster_size();
  std::vector<bool> zero(moving.piece.clusters, false);
  if (zeros_ != ZeroPolicy::kWrite) {
    for (std::uint64_t i = 0; i < moving.piece.clusters; ++i) {
      zero[i] = all_zero(std::span(moving.buffer + i * size, size));
    }
  }
  const auto wanted = static_cast<std::uint64_t>(std::count(zero.begin(), zero.end(), false));
  if (wanted > granted_clusters_) {
    missing_clusters_ = wanted - granted_clusters_;
    return false;
  }
  std::uint64_t cluster = 0;
  for (const GuestRun& run : moving.piece.runs) {
    for (std::uint64_t i = 0; i < run.count; ++i, ++cluster) {
      if (!zero[cluster]) {
        const std::uint64_t host_cluster = take_cluster();
        moving.links.add({run.first_cluster + i, 1, host_cluster, false});
        place(moving, cluster, host_cluster);
      } else if (zeros_ == ZeroPolicy::kZeroCluster) {
        moving.links.add({run.first_cluster + i, 1, 0, true});
      }
    }
  }
  moving.written_clusters = wanted;
  moving.phase = Moving::Phase::kWriting;
  if (moving.writes.empty()) {
    finish(moving);
  }
  return true;
}

bool Mover::assign_strip(Moving& moving) {
  ClusterInStrips& cluster = *moving.strip_of;
  const std::uint64_t bytes = moving.piece.buffer_bytes();
  if (zeros_ != ZeroPolicy::kWrite && all_zero(std::span(moving.buffer, bytes))) {
    finish(moving);
    return true;
  }
  if (!cluster.host_cluster) {
    if (granted_clusters_ == 0) {
      missing_clusters_ = 1;
      return false;
    }
    cluster.host_cluster = take_cluster();
  }
  moving.writes = {{0, *cluster.host_cluster * cluster_size() + moving.offset_in_cluster, bytes}};
  moving.phase = Moving::Phase::kWriting;
  return true;
}

std::uint64_t Mover::take_cluster() {
  image::qcow2::ClusterRange& grant = grants_.front();
  const std::uint64_t cluster = grant.first;
  grant = {grant.first + 1, grant.count - 1};
  --granted_clusters_;
  if (grant.count == 0) {
    grants_.pop_front();
  }
  return cluster;
}

/// Adds one cluster to the writes, to the last one where buffer and file both go on.
void Mover::place(Moving& moving, std::uint64_t cluster, std::uint64_t host_cluster) {
  const std::uint64_t size = cluster_size();
  if (!moving.writes.empty()) {
    Moving::Write& last = moving.writes.back();
    if (last.buffer_offset + last.length == cluster * size &&
        last.host_offset + last.length == host_cluster * size) {
      last.length += size;
      return;
    }
  }
  moving.writes.push_back({cluster * size, host_cluster * size, size});
}

/// Whether so much waits for the write limiter that nothing more is to be read: a quarter of a
/// second's worth, so that writes a little late do not stop reads, and not all buffers wait here.
bool Mover::writes_lag() const {
  if (write_limiter_.rate() == 0) {
    return false;
  }
  std::uint64_t waiting = 0;
  for (const auto& moving : moving_) {
    for (std::size_t i = moving->write; i < moving->writes.size(); ++i) {
      waiting += moving->writes[i].length;
    }
    waiting -= moving->write_done;
  }
  return waiting > write_limiter_.rate() / 4;
}

void Mover::issue_writes() {
  for (const auto& moving : moving_) {
    if (moving->phase == Moving::Phase::kWriting && !issue_writes_of(*moving)) {
      return;
    }
  }
}

/// False when the limiter says later.
bool Mover::issue_writes_of(Moving& moving) {
  while (!moving.writes_issued()) {
    const Nanoseconds now = host_.clock().now();
    if (!write_limiter_.may_issue(now)) {
      wake_at(write_limiter_.due());
      return false;
    }
    const Moving::Write& write = moving.writes[moving.write];
    const std::uint64_t bytes =
        std::min(write_limiter_.piece(limits::kPiece), write.length - moving.write_done);
    write_limiter_.charge(bytes, now);
    submit(moving, {.op = io::Request::Op::kWrite,
                    .file = &chain_.active().file(),
                    .offset = write.host_offset + moving.write_done,
                    .buffer = moving.buffer + write.buffer_offset + moving.write_done,
                    .length = bytes,
                    .done = {}});
    moving.write_done += bytes;
    if (moving.write_done == write.length) {
      ++moving.write;
      moving.write_done = 0;
    }
  }
  return true;
}

/// One strip less; the last one has the link of its cluster with it.
void Mover::finish_strip(Moving& moving) {
  ClusterInStrips& cluster = *moving.strip_of;
  cluster.bytes_left -= moving.piece.buffer_bytes();
  if (cluster.bytes_left > 0) {
    return;
  }
  moving.piece.guest_bytes = cluster.guest_bytes;
  if (cluster.host_cluster) {
    moving.written_clusters = 1;
    moving.links.add({cluster.guest_cluster, 1, *cluster.host_cluster, false});
  } else if (zeros_ == ZeroPolicy::kZeroCluster) {
    moving.links.add({cluster.guest_cluster, 1, 0, true});
  }
  std::erase_if(in_strips_, [&cluster](const ClusterInStrips& one) { return &one == &cluster; });
}

/// The piece is in the file, whole.
void Mover::finish(Moving& moving) {
  if (moving.strip_of != nullptr) {
    finish_strip(moving);
  }
  links_.guest_bytes += moving.piece.guest_bytes;
  links_.clusters += moving.written_clusters;
  links_.runs.append(std::move(moving.links));
  const auto found = std::find_if(moving_.begin(), moving_.end(), [&moving](const auto& candidate) {
    return candidate.get() == &moving;
  });
  // Out of the list first: whoever gets the buffer may pump, and must not find this piece.
  const std::unique_ptr<Moving> finished = std::move(*found);
  moving_.erase(found);
  host_.buffers().give_back(finished->buffer);
}

Mover::Links Mover::take_links() {
  return std::exchange(links_, {});
}

std::vector<image::qcow2::ClusterRange> Mover::take_unused_grants() {
  std::vector<image::qcow2::ClusterRange> unused(grants_.begin(), grants_.end());
  grants_.clear();
  granted_clusters_ = 0;
  for (const ClusterInStrips& cluster : in_strips_) {
    if (cluster.host_cluster) {
      unused.push_back({*cluster.host_cluster, 1});
    }
  }
  in_strips_.clear();
  return unused;
}

}  // namespace blockpull::driver
