// SPDX-License-Identifier: Apache-2.0

#include "driver/local/move/pacing.h"

#include <algorithm>
#include <utility>

#include "core/base/limits.h"

namespace blockpull::driver {

Pacing::Pacing(job::Host& host, std::function<void()> due)
    : host_(host),
      due_(std::move(due)),
      read_limiter_(0, host.clock().now()),
      write_limiter_(0, host.clock().now()) {}

void Pacing::set_bandwidth(std::uint64_t bandwidth) {
  const Nanoseconds now = host_.clock().now();
  read_limiter_.set_rate(bandwidth, now);
  write_limiter_.set_rate(bandwidth, now);
}

void Pacing::stop() {
  if (timer_ticket_ != 0) {
    host_.cancel_call(std::exchange(timer_ticket_, 0));
  }
}

std::uint64_t Pacing::piece_bytes() const {
  return read_limiter_.piece(limits::kPiece);
}

bool Pacing::may_read() {
  if (read_limiter_.may_issue(host_.clock().now())) {
    return true;
  }
  wake_at(read_limiter_.due());
  return false;
}

std::uint64_t Pacing::take_read(std::uint64_t wanted) {
  return take(read_limiter_, wanted, 0);
}

bool Pacing::take_whole_read(std::uint64_t bytes) {
  return take(read_limiter_, bytes, bytes) > 0;
}

std::uint64_t Pacing::take_write(std::uint64_t wanted) {
  return take(write_limiter_, wanted, 0);
}

/// How many of `wanted` bytes may go, but at least `least`; 0 if none may.
std::uint64_t Pacing::take(job::RateLimiter& limiter, std::uint64_t wanted, std::uint64_t least) {
  const Nanoseconds now = host_.clock().now();
  if (!limiter.may_issue(now)) {
    wake_at(limiter.due());
    return 0;
  }
  const std::uint64_t bytes = std::max(std::min(limiter.piece(limits::kPiece), wanted), least);
  limiter.charge(bytes, now);
  return bytes;
}

void Pacing::wake_at(Nanoseconds when) {
  if (timer_ticket_ != 0) {
    if (timer_at_ <= when) {
      return;
    }
    host_.cancel_call(timer_ticket_);
  }
  timer_at_ = when;
  timer_ticket_ = host_.call_at(when, [this] {
    timer_ticket_ = 0;
    due_();
  });
}

}  // namespace blockpull::driver
