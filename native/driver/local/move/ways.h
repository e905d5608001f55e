// SPDX-License-Identifier: Apache-2.0
//
// All ways, and the choice of the way for a piece, which only `ways.cc` makes.
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
