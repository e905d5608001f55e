// SPDX-License-Identifier: Apache-2.0
//
// Callbacks that wait for their time: earliest first, and in order of arrival for the same time.
//
// Thread rule: the thread whose loop it serves.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <unordered_map>
#include <utility>

#include "core/base/clock.h"

namespace blockpull {

class TimerQueue {
 public:
  /// Keeps `callback` until `when`. Returns a ticket for cancel(), never 0.
  std::uint64_t add(Nanoseconds when, std::function<void()> callback) {
    const std::uint64_t ticket = next_ticket_++;
    timers_.emplace(when, Timer{ticket, std::move(callback)});
    when_of_.emplace(ticket, when);
    return ticket;
  }

  /// Does nothing if the callback has run or was cancelled before.
  void cancel(std::uint64_t ticket) {
    const auto known = when_of_.find(ticket);
    if (known == when_of_.end()) {
      return;
    }
    auto [timer, end] = timers_.equal_range(known->second);
    while (timer != end && timer->second.ticket != ticket) {
      ++timer;
    }
    timers_.erase(timer);
    when_of_.erase(known);
  }

  /// Runs everything that is due at `now`, including timers that the callbacks add.
  void run_due(Nanoseconds now) {
    while (!timers_.empty() && timers_.begin()->first <= now) {
      auto timer = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
      when_of_.erase(timer.ticket);
      timer.callback();
    }
  }

  /// When the next one is due; Nanoseconds::max() if there is none.
  [[nodiscard]] Nanoseconds next() const {
    return timers_.empty() ? Nanoseconds::max() : timers_.begin()->first;
  }

 private:
  struct Timer {
    std::uint64_t ticket = 0;
    std::function<void()> callback;
  };

  std::multimap<Nanoseconds, Timer> timers_;
  std::unordered_map<std::uint64_t, Nanoseconds> when_of_;
  std::uint64_t next_ticket_ = 1;
};

}  // namespace blockpull
