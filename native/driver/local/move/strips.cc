// SPDX-License-Identifier: Apache-2.0

#include "driver/local/move/strips.h"

#include <utility>

namespace blockpull::driver {

ClusterInStrips& Strips::begin(const Piece& whole) {
  return begun_.emplace_back(ClusterInStrips{.guest_cluster = whole.runs[0].first_cluster,
                                             .guest_bytes = whole.guest_bytes,
                                             .bytes_left = whole.buffer_bytes(),
                                             .host_cluster = std::nullopt});
}

void Strips::end(Moving& strip) {
  ClusterInStrips& cluster = *strip.strip_of;
  cluster.bytes_left -= strip.piece.buffer_bytes();
  if (cluster.bytes_left > 0) {
    return;
  }
  strip.piece.guest_bytes = cluster.guest_bytes;
  if (cluster.host_cluster) {
    strip.host_clusters = 1;
    strip.links.add({cluster.guest_cluster, 1, *cluster.host_cluster, false});
  } else if (zeros_ == ZeroPolicy::kZeroCluster) {
    strip.links.add({cluster.guest_cluster, 1, 0, true});
  }
  std::erase_if(begun_, [&cluster](const ClusterInStrips& one) { return &one == &cluster; });
}

std::vector<image::qcow2::ClusterRange> Strips::take_unlinked() {
  std::vector<image::qcow2::ClusterRange> unlinked;
  for (const ClusterInStrips& cluster : std::exchange(begun_, {})) {
    if (cluster.host_cluster) {
      unlinked.push_back({*cluster.host_cluster, 1});
    }
  }
  return unlinked;
}

}  // namespace blockpull::driver
