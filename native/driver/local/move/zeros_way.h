// SPDX-License-Identifier: Apache-2.0
//
// The way of a piece that the tables state to be zeros, where zeros need not be written. Nothing
// travels, so it needs no buffer. Such pieces are strips of clusters that have data in another
// part.
//
//     cluster   │ strip: zeros │ strip: data │ strip: zeros │
//     way         ZerosWay       BufferedWay   ZerosWay

#pragma once

#include "driver/local/move/tally.h"
#include "driver/local/move/way.h"

namespace blockpull::driver {

class ZerosWay final : public Way {
 public:
  explicit ZerosWay(Tally& tally) : tally_(tally) {}

  [[nodiscard]] std::size_t buffer_bytes(const Piece& /*piece*/) const override { return 0; }

  [[nodiscard]] Fetch fetch(Moving& moving) override {
    tally_.add(WayKind::kZeros, moving.piece.buffer_bytes());
    return Fetch::kDone;
  }

  [[nodiscard]] bool is_zero(const Moving& /*moving*/, std::uint64_t /*offset*/,
                             std::uint64_t /*length*/) const override {
    return true;
  }

  /// No part of it has a place.
  [[nodiscard]] bool deliver(Moving& /*moving*/) override { return true; }

 private:
  Tally& tally_;
};

}  // namespace blockpull::driver
