// SPDX-License-Identifier: Apache-2.0

#include "driver/local/move/placing.h"

#include <algorithm>
#include <utility>

#include "driver/local/move/way.h"

namespace blockpull::driver {

void Placing::grant(image::qcow2::ClusterRange range) {
  grants_.push_back(range);
  granted_clusters_ += range.count;
  missing_clusters_ = 0;
}

bool Placing::place(Moving& moving) {
  if (moving.strip_of != nullptr) {
    return place_strip(moving);
  }
  std::vector<bool> left_out(moving.piece.clusters, false);
  for (std::uint64_t i = 0; i < moving.piece.clusters; ++i) {
    left_out[i] = is_left_out(moving, i * cluster_size_, cluster_size_);
  }
  const auto wanted =
      static_cast<std::uint64_t>(std::count(left_out.begin(), left_out.end(), false));
  if (wanted > granted_clusters_) {
    missing_clusters_ = wanted - granted_clusters_;
    return false;
  }
  place_clusters(moving, left_out);
  moving.host_clusters = wanted;
  return true;
}

void Placing::place_clusters(Moving& moving, const std::vector<bool>& left_out) {
  std::uint64_t cluster = 0;
  for (const GuestRun& run : moving.piece.runs) {
    for (std::uint64_t i = 0; i < run.count; ++i, ++cluster) {
      if (!left_out[cluster]) {
        const std::uint64_t host_cluster = take_cluster();
        moving.links.add({run.first_cluster + i, 1, host_cluster, false});
        add_place(moving, cluster, host_cluster);
      } else if (zeros_ == ZeroPolicy::kZeroCluster) {
        moving.links.add({run.first_cluster + i, 1, 0, true});
      }
    }
  }
}

bool Placing::place_strip(Moving& moving) {
  ClusterInStrips& cluster = *moving.strip_of;
  const std::uint64_t bytes = moving.piece.buffer_bytes();
  if (is_left_out(moving, 0, bytes)) {
    return true;
  }
  if (!cluster.host_cluster) {
    if (granted_clusters_ == 0) {
      missing_clusters_ = 1;
      return false;
    }
    cluster.host_cluster = take_cluster();
  }
  moving.places = {{0, *cluster.host_cluster * cluster_size_ + moving.offset_in_cluster, bytes}};
  return true;
}

bool Placing::is_left_out(const Moving& moving, std::uint64_t offset, std::uint64_t length) const {
  return zeros_ != ZeroPolicy::kWrite && moving.way->is_zero(moving, offset, length);
}

/// Adds one cluster to the places. It extends the last place if it follows it in piece and file.
void Placing::add_place(Moving& moving, std::uint64_t cluster, std::uint64_t host_cluster) {
  const Place added{cluster * cluster_size_, host_cluster * cluster_size_, cluster_size_};
  if (!moving.places.empty()) {
    Place& last = moving.places.back();
    if (last.offset_in_piece + last.length == added.offset_in_piece &&
        last.host_offset + last.length == added.host_offset) {
      last.length += added.length;
      return;
    }
  }
  moving.places.push_back(added);
}

std::uint64_t Placing::take_cluster() {
  image::qcow2::ClusterRange& grant = grants_.front();
  const std::uint64_t cluster = grant.first;
  grant = {grant.first + 1, grant.count - 1};
  --granted_clusters_;
  if (grant.count == 0) {
    grants_.pop_front();
  }
  return cluster;
}

void Placing::take_back(const Moving& moving) {
  for (const image::qcow2::LinkRun& run : moving.links) {
    if (!run.zero) {
      grant({run.host_cluster, run.count});
    }
  }
}

std::vector<image::qcow2::ClusterRange> Placing::take_unused() {
  std::vector<image::qcow2::ClusterRange> unused(grants_.begin(), grants_.end());
  grants_.clear();
  granted_clusters_ = 0;
  return unused;
}

}  // namespace blockpull::driver
