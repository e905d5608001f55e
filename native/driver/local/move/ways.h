// SPDX-License-Identifier: Apache-2.0
//
// The ways that there are, and which one a piece takes: `ways.cc` is the one place that chooses.
//
//     every segment is known to be zeros, and zeros are not written ─▶ ZerosWay
//     anything else ─────────────────────────────────────────────────▶ BufferedWay

#pragma once

#include "driver/local/move/buffered_way.h"
#include "driver/local/move/zero_policy.h"
#include "driver/local/move/zeros_way.h"

namespace blockpull::driver {

class Ways {
 public:
  Ways(const image::Chain& chain, ZeroPolicy zeros, Pacing& pacing, Transfers& transfers,
       Tally& tally)
      : zeros_(zeros), buffered_way_(chain, pacing, transfers, tally), zeros_way_(tally) {}

  [[nodiscard]] Way& of(const Piece& piece);

 private:
  const ZeroPolicy zeros_;
  BufferedWay buffered_way_;
  ZerosWay zeros_way_;
};

}  // namespace blockpull::driver
