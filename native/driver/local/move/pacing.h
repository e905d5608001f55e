// SPDX-License-Identifier: Apache-2.0
//
// Decides what may be issued now. The bandwidth limit applies to reads and to writes, each with its
// own limiter; one timer serves both.
//
//     take_read, take_write ─▶ bytes, charged          this many may go now
//                           └▶ 0, the timer is set     `due` is called when more may
//
// The timer is set for the earlier of the two; `due` makes the caller ask again for everything.

#pragma once

#include <cstdint>
#include <functional>

#include "job/host.h"
#include "job/rate_limiter.h"

namespace blockpull::driver {

class Pacing {
 public:
  Pacing(job::Host& host, std::function<void()> due);

  void set_bandwidth(std::uint64_t bandwidth);

  /// Cancels the timer: `due` is not called any more.
  void stop();

  /// Largest piece for the planner and the queue: no more than one request may have.
  [[nodiscard]] std::uint64_t piece_bytes() const;
  [[nodiscard]] bool is_limited() const { return read_limiter_.rate() != 0; }

  /// Whether anything may be read now.
  [[nodiscard]] bool may_read();
  /// How many of `wanted` bytes may be read now.
  [[nodiscard]] std::uint64_t take_read(std::uint64_t wanted);
  /// The same for bytes that cannot be cut; false if they may not be read.
  [[nodiscard]] bool take_whole_read(std::uint64_t bytes);
  [[nodiscard]] std::uint64_t take_write(std::uint64_t wanted);

  /// Under a limit: whether so many bytes wait to be written that reads must pause. The threshold
  /// is a quarter of a second's worth, so that slightly late writes do not stop reads, and waiting
  /// writes do not hold all buffers.
  [[nodiscard]] bool writes_lag(std::uint64_t bytes_to_write) const {
    return bytes_to_write > write_limiter_.rate() / 4;
  }

 private:
  [[nodiscard]] std::uint64_t take(job::RateLimiter& limiter, std::uint64_t wanted,
                                   std::uint64_t least);
  void wake_at(Nanoseconds when);

  job::Host& host_;
  const std::function<void()> due_;
  job::RateLimiter read_limiter_;
  job::RateLimiter write_limiter_;
  /// 0 if no timer is set.
  std::uint64_t timer_ticket_ = 0;
  Nanoseconds timer_at_{0};
};

}  // namespace blockpull::driver
