// SPDX-License-Identifier: Apache-2.0
//
// Time for the rate limiter and the timers: nanoseconds on a monotonic clock, behind an interface
// so that tests can set it.

#pragma once

#include <chrono>

namespace blockpull {

/// Nanoseconds since an arbitrary start; only differences mean anything.
using Nanoseconds = std::chrono::nanoseconds;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Nanoseconds now() const = 0;
};

class MonotonicClock final : public Clock {
 public:
  [[nodiscard]] Nanoseconds now() const override {
    return std::chrono::duration_cast<Nanoseconds>(
        std::chrono::steady_clock::now().time_since_epoch());
  }
};

}  // namespace blockpull
