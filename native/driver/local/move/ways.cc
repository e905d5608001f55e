// SPDX-License-Identifier: Apache-2.0

#include "driver/local/move/ways.h"

#include <algorithm>

namespace blockpull::driver {

Way& Ways::of(const Piece& piece) {
  const bool is_zeros =
      std::all_of(piece.segments.begin(), piece.segments.end(),
                  [](const Segment& segment) { return segment.status == image::Status::kZero; });
  if (is_zeros && zeros_ != ZeroPolicy::kWrite) {
    return zeros_way_;
  }
  return buffered_way_;
}

}  // namespace blockpull::driver
