// SPDX-License-Identifier: Apache-2.0

#include "driver/local/move/inflating.h"

#include <algorithm>
#include <span>
#include <vector>

namespace blockpull::driver {

Result<void> inflate_segments(const image::Chain& chain, const Piece& piece, std::byte* buffer) {
  const std::byte* const staging = buffer + piece.buffer_bytes();
  std::vector<std::byte> cluster;
  const std::byte* inflated_from = nullptr;
  for (const Segment& segment : piece.segments) {
    if (segment.status != image::Status::kCompressed) {
      continue;
    }
    const image::Image& layer = *chain.layers[segment.layer].image;
    const std::span<std::byte> into(buffer + segment.buffer_offset, segment.length);
    const std::span<const std::byte> from(staging + segment.staging_offset,
                                          segment.compressed_length);
    if (segment.length == layer.cluster_size()) {
      BLOCKPULL_CHECK(layer.inflate(from, into));
      continue;
    }
    if (from.data() != inflated_from) {
      cluster.resize(layer.cluster_size());
      BLOCKPULL_CHECK(layer.inflate(from, cluster));
      inflated_from = from.data();
    }
    std::copy_n(cluster.begin() + static_cast<std::ptrdiff_t>(segment.offset_in_cluster),
                segment.length, into.begin());
  }
  return {};
}

}  // namespace blockpull::driver
