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
  if (!moving.piece.fills.empty()) {
    return place_fills(moving);
  }
  std::vector<bool> left_out(moving.piece.clusters, false);
  for (std::uint64_t i = 0; i < moving.piece.clusters; ++i) {
    left_out[i] = is_left_out(moving, i * cluster_size_, cluster_size_);
  }
  const auto wanted =
      static_cast<std::uint64_t>(std::count(left_out.begin(), left_out.end(), false));
  if (!are_granted(wanted)) {
    return false;
  }
  place_clusters(moving, left_out);
  moving.host_clusters = wanted;
  return true;
}

bool Placing::are_granted(std::uint64_t wanted) {
  if (wanted > granted_clusters_) {
    missing_clusters_ = wanted - granted_clusters_;
    return false;
  }
  return true;
}

void Placing::place_clusters(Moving& moving, const std::vector<bool>& left_out) {
  std::uint64_t cluster = 0;
  for (const GuestRun& run : moving.piece.runs) {
    for (std::uint64_t i = 0; i < run.count; ++i, ++cluster) {
      if (!left_out[cluster]) {
        const std::uint64_t host_cluster = take_cluster();
        moving.links.add({run.first_cluster + i, 1, host_cluster, false});
        add_place(moving, {cluster * cluster_size_, host_cluster * cluster_size_, cluster_size_});
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
    if (!are_granted(1)) {
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

bool Placing::place_fills(Moving& moving) {
  const std::vector<SubclusterFill>& fills = moving.piece.fills;
  std::vector<image::qcow2::Subclusters> become;
  std::uint64_t wanted = 0;
  for (std::uint64_t cluster = 0; cluster < fills.size(); ++cluster) {
    become.push_back(becomes(moving, cluster));
    const bool is_written = become.back().allocated() != 0;
    wanted += is_written && fills[cluster].host_cluster == 0 ? 1 : 0;
  }
  if (!are_granted(wanted)) {
    return false;
  }
  std::uint64_t cluster = 0;
  for (const GuestRun& run : moving.piece.runs) {
    for (std::uint64_t i = 0; i < run.count; ++i, ++cluster) {
      place_fill(moving, cluster, run.first_cluster + i, become[cluster]);
    }
  }
  return true;
}

/// The bits that the entry of a cluster of the piece gets: its bytes are known now.
image::qcow2::Subclusters Placing::becomes(const Moving& moving, std::uint64_t cluster) const {
  const SubclusterFill& fill = moving.piece.fills[cluster];
  const std::uint64_t size = cluster_size_ / image::qcow2::kSubclusters;
  std::uint32_t zeros = 0;
  for (std::uint32_t index = 0; index < image::qcow2::kSubclusters; ++index) {
    const std::uint32_t mask = image::qcow2::subcluster_mask(index, index + 1);
    const std::uint64_t offset = cluster * cluster_size_ + index * size;
    zeros |= (fill.data & mask) != 0 && is_left_out(moving, offset, size) ? mask : 0;
  }
  const std::uint32_t marked = zeros_ == ZeroPolicy::kZeroCluster ? zeros : 0;
  return {fill.data & ~zeros, fill.zero | marked};
}

void Placing::place_fill(Moving& moving, std::uint64_t cluster, std::uint64_t guest_cluster,
                         image::qcow2::Subclusters becomes) {
  image::qcow2::LinkRun link{.guest_cluster = guest_cluster,
                             .count = 1,
                             .zero = becomes.allocated() == 0,
                             .bitmap = becomes.bitmap()};
  if (!link.zero) {
    const std::uint64_t there = moving.piece.fills[cluster].host_cluster;
    link.in_place = there != 0;
    link.host_cluster = link.in_place ? there : take_cluster();
    ++moving.host_clusters;
  }
  const std::uint64_t size = cluster_size_ / image::qcow2::kSubclusters;
  for (std::uint32_t mask = becomes.allocated(); mask != 0;) {
    const image::qcow2::SubclusterRun run = image::qcow2::first_run(mask);
    add_place(moving,
              {cluster * cluster_size_ + run.first * size,
               link.host_cluster * cluster_size_ + run.first * size, (run.end - run.first) * size});
    mask &= ~run.mask();
  }
  if (link.bitmap != 0) {
    moving.links.add(link);
  }
}

/// Adds a place. It extends the last one if it follows it in piece and file.
void Placing::add_place(Moving& moving, const Place& added) {
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
    if (run.takes_clusters()) {
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
