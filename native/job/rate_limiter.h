// SPDX-License-Identifier: Apache-2.0
//
// How long to wait before the next piece, and how large it may be. No thread, and no clock of its
// own.
//
// The limiter keeps one number: `due_`, the time at which the next piece may be issued. Issuing n
// bytes moves it on by n / rate. A caller up to `kGrace` late loses nothing (timers are often
// late); a later one loses the time. In any span of T seconds at most
//
//     rate × (T + grace) + one piece  =  rate × (T + 0.004 + 1/64)  ≤  1.02 × rate      for T = 1
//
// bytes are therefore issued (plus 4 KiB if a 64th of the rate is less than the smallest piece).
// This holds from the first second on: there is no bucket that starts full.
//
//     due_:   ──┬────────┬────────┬───────▶ time       pieces of a 64th of a second each
//               │ piece  │ piece  │
//
// A new rate takes effect at once: the remaining wait is converted to the new rate, and is never
// more than one piece. Thread rule: one thread.

#pragma once

#include <cstdint>

#include "core/base/clock.h"

namespace blockpull::job {

class RateLimiter {
 public:
  /// `bytes_per_second` 0: no limit.
  RateLimiter(std::uint64_t bytes_per_second, Nanoseconds now)
      : rate_(bytes_per_second), due_(now) {}

  [[nodiscard]] std::uint64_t rate() const { return rate_; }
  void set_rate(std::uint64_t bytes_per_second, Nanoseconds now);

  /// Bytes that one request may have: a 64th of the rate, at least 4 KiB and a multiple of that,
  /// and at most `most`. Without a limit, `most`.
  [[nodiscard]] std::uint64_t piece(std::uint64_t most) const;

  /// When the next piece may be issued; a time not later than `now` means at once.
  [[nodiscard]] Nanoseconds due() const { return due_; }
  [[nodiscard]] bool may_issue(Nanoseconds now) const { return rate_ == 0 || due_ <= now; }

  /// Charges `bytes` issued at `now`.
  void charge(std::uint64_t bytes, Nanoseconds now);

 private:
  /// 4 ms: what the bound above allows beside one piece.
  static constexpr Nanoseconds kGrace{4'000'000};

  std::uint64_t rate_;
  Nanoseconds due_;
};

}  // namespace blockpull::job
