// SPDX-License-Identifier: Apache-2.0
//
// Fills the buffer of a piece: reads its segments as the limit allows, then inflates the compressed
// ones.
//
//     segment   data ───────▶ read into its part of the buffer
//               compressed ─▶ read behind the clusters ─▶ inflated into its part (blocking thread)
//               zeros ──────▶ written there by us
//
// A cluster with compressed bytes is inflated whole, and is never cut.

#pragma once

#include "core/image/chain.h"
#include "driver/local/move/pacing.h"
#include "driver/local/move/tally.h"
#include "driver/local/move/transfers.h"
#include "driver/local/move/way.h"

namespace blockpull::driver {

class Reading {
 public:
  Reading(const image::Chain& chain, Pacing& pacing, Transfers& transfers, Tally& tally)
      : chain_(chain), pacing_(pacing), transfers_(transfers), tally_(tally) {}

  /// As Way::fetch.
  [[nodiscard]] Way::Fetch fetch(Moving& moving);

 private:
  [[nodiscard]] bool issue(Moving& moving, const Segment& segment);
  [[nodiscard]] bool issue_compressed(Moving& moving, const Segment& segment);

  const image::Chain& chain_;
  Pacing& pacing_;
  Transfers& transfers_;
  Tally& tally_;
};

}  // namespace blockpull::driver
