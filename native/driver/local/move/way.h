// SPDX-License-Identifier: Apache-2.0
//
// The seam for how the bytes of a piece travel. The mover's loop knows this table of operations and
// nothing of reads, writes or buffers.
//
//     loop          asks the way
//     ────────────────────────────────────────────────────────────────────────────────
//     begin         buffer_bytes  how large a buffer; 0: it takes none
//     before places fetch         bring here what can be known before there is a host cluster
//     places        is_zero       which parts need no host cluster
//     after places  deliver       bring it into its places in the active image's file
//
//     way           fetch              is_zero      deliver
//     ────────────────────────────────────────────────────────────────────────────────
//     BufferedWay   reads, inflates    looks        writes
//     ZerosWay      nothing            always       nothing: no part of it gets a place
//
// A new way is one file that implements this, a `WayKind`, a member of `Ways`, and in `ways.cc` the
// pieces that take it. One that copies inside the kernel or clones fetches nothing, takes no buffer
// and does all its work in `deliver`; one that reads from the page cache differs from BufferedWay
// in `fetch`.
//
// What a way starts it starts through `Transfers`, which counts it and tells the loop of its end;
// what it may start now `Pacing` says.

#pragma once

#include <cstddef>
#include <cstdint>

#include "driver/local/move/moving.h"

namespace blockpull::driver {

/// What `Tally` counts by.
enum class WayKind : std::uint8_t { kBuffered, kZeros };

inline constexpr std::size_t kWayKinds = 2;

class Way {
 public:
  enum class Fetch : std::uint8_t {
    /// The limit says later, and the loop is called then.
    kLater,
    /// What was started has not ended; fetch() is to be called again.
    kUnderWay,
    kDone,
  };

  Way() = default;
  virtual ~Way() = default;
  Way(const Way&) = delete;
  Way& operator=(const Way&) = delete;

  [[nodiscard]] virtual std::size_t buffer_bytes(const Piece& piece) const = 0;

  [[nodiscard]] virtual Fetch fetch(Moving& moving) = 0;

  /// Whether `length` bytes from `offset` on are known to be zeros; of a piece that is fetched.
  [[nodiscard]] virtual bool is_zero(const Moving& moving, std::uint64_t offset,
                                     std::uint64_t length) const = 0;

  /// False when the limit says later; the loop is called then.
  [[nodiscard]] virtual bool deliver(Moving& moving) = 0;
};

}  // namespace blockpull::driver
