// SPDX-License-Identifier: Apache-2.0
//
// What may be issued now. The bandwidth limit holds for what is read and for what is written, each
// by a limiter of its own; one timer serves both.
//
//     take_read, take_write ─▶ bytes, charged          that many may go now
//                           └▶ 0, the timer is set     `due` is called when more may
//
// The earlier wish counts: who is called asks again for everything.

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

  /// Calls `due` no more.
  void stop();

  /// Bytes that the planner and the queue may make one piece of: no more than one issue may have.
  [[nodiscard]] std::uint64_t piece_bytes() const;
  [[nodiscard]] bool is_limited() const { return read_limiter_.rate() != 0; }

  /// Whether anything may be read now.
  [[nodiscard]] bool may_read();
  /// How many of `wanted` bytes may be read at once.
  [[nodiscard]] std::uint64_t take_read(std::uint64_t wanted);
  /// The same for bytes that cannot be cut; false: none of them.
  [[nodiscard]] bool take_whole_read(std::uint64_t bytes);
  [[nodiscard]] std::uint64_t take_write(std::uint64_t wanted);

  /// Under a limit: whether so much waits to be written that nothing more is to be read. It is a
  /// quarter of a second's worth, so that writes a little late do not stop reads, and not all
  /// buffers wait here.
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
  /// 0: no timer is set.
  std::uint64_t timer_ticket_ = 0;
  Nanoseconds timer_at_{0};
};

}  // namespace blockpull::driver
