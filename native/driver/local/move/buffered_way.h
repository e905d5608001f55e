// SPDX-License-Identifier: Apache-2.0
//
// The way that works for every piece: read into a buffer, check for zeros, write.
//
//     layers ─▶ Reading ─▶ buffer ─▶ is_zero: every byte is checked ─▶ Writing ─▶ active image

#pragma once

#include <span>

#include "core/base/bytes.h"
#include "driver/local/move/reading.h"
#include "driver/local/move/way.h"
#include "driver/local/move/writing.h"

namespace blockpull::driver {

class BufferedWay final : public Way {
 public:
  BufferedWay(const image::Chain& chain, Pacing& pacing, Transfers& transfers, Tally& tally)
      : reading_(chain, pacing, transfers, tally), writing_(chain, pacing, transfers) {}

  [[nodiscard]] std::size_t buffer_bytes(const Piece& piece) const override {
    return piece.buffer_bytes() + piece.staging_bytes;
  }

  [[nodiscard]] Fetch fetch(Moving& moving) override { return reading_.fetch(moving); }

  [[nodiscard]] bool is_zero(const Moving& moving, std::uint64_t offset,
                             std::uint64_t length) const override {
    return all_zero(std::span<const std::byte>(moving.buffer + offset, length));
  }

  [[nodiscard]] bool deliver(Moving& moving) override { return writing_.deliver(moving); }

 private:
  Reading reading_;
  Writing writing_;
};

}  // namespace blockpull::driver
