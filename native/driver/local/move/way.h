// SPDX-License-Identifier: Apache-2.0
//
// The interface for how the bytes of a piece travel. The mover's loop knows only these operations,
// and nothing of reads, writes or buffers.
//
//     loop          asks the way
//     ────────────────────────────────────────────────────────────────────────────────
//     begin         buffer_bytes  size of the buffer; 0 for none
//     before places fetch         get the bytes that can be had before there is a host cluster
//     places        is_zero       which parts need no host cluster
//     after places  deliver       bring the bytes to their places in the active image's file
//
//     way           fetch              is_zero      deliver
//     ────────────────────────────────────────────────────────────────────────────────
//     BufferedWay   reads, inflates    checks       writes
//     ZerosWay      nothing            always       nothing: no part of it gets a place
//
// A new way needs one file that implements this, a `WayKind`, a member of `Ways`, and in `ways.cc`
// the pieces that take it. A way that copies inside the kernel, or clones, fetches nothing, takes
// no buffer and does all its work in `deliver`. A way that reads from the page cache differs from
// BufferedWay in `fetch`.
//
// A way starts everything through `Transfers`, which counts it and notifies the loop of its end.
// `Pacing` decides what it may start now.

#pragma once

#include <cstddef>
#include <cstdint>

#include "driver/local/move/moving.h"

namespace blockpull::driver {

/// The categories of `Tally`.
enum class WayKind : std::uint8_t { kBuffered, kZeros };

inline constexpr std::size_t kWayKinds = 2;

class Way {
 public:
  enum class Fetch : std::uint8_t {
    /// The limit allows nothing now; the loop is called when it does.
    kLater,
    /// Something is in flight; call fetch() again.
    kUnderWay,
    kDone,
  };

  Way() = default;
  virtual ~Way() = default;
  Way(const Way&) = delete;
  Way& operator=(const Way&) = delete;

  [[nodiscard]] virtual std::size_t buffer_bytes(const Piece& piece) const = 0;

  [[nodiscard]] virtual Fetch fetch(Moving& moving) = 0;

  /// Whether `length` bytes from `offset` on are known to be zeros; for a fetched piece.
  [[nodiscard]] virtual bool is_zero(const Moving& moving, std::uint64_t offset,
                                     std::uint64_t length) const = 0;

  /// False if the limit allows nothing now; the loop is called when it does.
  [[nodiscard]] virtual bool deliver(Moving& moving) = 0;
};

}  // namespace blockpull::driver
