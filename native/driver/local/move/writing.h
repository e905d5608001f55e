// SPDX-License-Identifier: Apache-2.0
//
// Writes the buffer of a piece to its places in the active image's file, as the limit allows.
//
//     places   │ 3 clusters ▸ h40 │ 1 cluster ▸ h90 │      one request each, or under a limit more
//                   ▲ delivered: what is before it was issued

#pragma once

#include "core/image/chain.h"
#include "driver/local/move/pacing.h"
#include "driver/local/move/transfers.h"

namespace blockpull::driver {

class Writing {
 public:
  Writing(const image::Chain& chain, Pacing& pacing, Transfers& transfers)
      : chain_(chain), pacing_(pacing), transfers_(transfers) {}

  /// As Way::deliver.
  [[nodiscard]] bool deliver(Moving& moving);

 private:
  const image::Chain& chain_;
  Pacing& pacing_;
  Transfers& transfers_;
};

}  // namespace blockpull::driver
