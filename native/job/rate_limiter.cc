// SPDX-License-Identifier: Apache-2.0

#include "job/rate_limiter.h"

#include <algorithm>

#include "core/base/checked.h"

namespace blockpull::job {
namespace {

constexpr std::uint64_t kSmallestPiece = 4096;
constexpr std::uint64_t kPiecesPerSecond = 64;
constexpr std::uint64_t kSecond = 1'000'000'000;

/// 128 bits, since bytes times nanoseconds exceed 2^64 at a few GiB.
__extension__ using Wide = unsigned __int128;

/// Time that `bytes` take at `rate`, rounded up; at most one day, which keeps sums far from
/// overflow.
Nanoseconds time_for(std::uint64_t bytes, std::uint64_t rate) {
  constexpr std::uint64_t kDay = 86'400 * kSecond;
  const auto exact = (static_cast<Wide>(bytes) * kSecond + rate - 1) / rate;
  return Nanoseconds(static_cast<std::int64_t>(std::min<Wide>(exact, kDay)));
}

}  // namespace

void RateLimiter::set_rate(std::uint64_t bytes_per_second, Nanoseconds now) {
  const std::uint64_t old_rate = rate_;
  rate_ = bytes_per_second;
  if (old_rate == 0 || rate_ == 0 || due_ <= now) {
    due_ = std::min(due_, now);
    due_ = std::max(due_, now - kGrace);
    return;
  }
  const auto waiting = static_cast<std::uint64_t>((due_ - now).count());
  const auto owed = static_cast<Wide>(waiting) * old_rate / kSecond;
  const std::uint64_t most = piece(UINT64_MAX);
  const std::uint64_t bytes = owed > most ? most : static_cast<std::uint64_t>(owed);
  due_ = now + time_for(bytes, rate_);
}

std::uint64_t RateLimiter::piece(std::uint64_t most) const {
  if (rate_ == 0) {
    return most;
  }
  const std::uint64_t share = round_down(rate_ / kPiecesPerSecond, kSmallestPiece);
  return std::min(std::max(share, kSmallestPiece), most);
}

void RateLimiter::charge(std::uint64_t bytes, Nanoseconds now) {
  if (rate_ == 0) {
    due_ = now;
    return;
  }
  due_ = std::max(due_, now - kGrace) + time_for(bytes, rate_);
}

}  // namespace blockpull::job
