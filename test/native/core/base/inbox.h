// SPDX-License-Identifier: Apache-2.0
//
// Values that callbacks on another thread pass to the test, in order. take() waits for one, and
// gives up after a time that only a defect can exceed.
//
// Thread rule: any thread.

#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace blockpull {

inline constexpr std::chrono::seconds kPatience{60};

template <typename T>
class Inbox {
 public:
  void put(T value) {
    const std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    arrived_.notify_all();
  }

  /// Absent if nothing came.
  [[nodiscard]] std::optional<T> take() {
    std::unique_lock lock(mutex_);
    if (!arrived_.wait_for(lock, kPatience, [this] { return !values_.empty(); })) {
      return std::nullopt;
    }
    std::optional<T> value(std::move(values_.front()));
    values_.pop_front();
    return value;
  }

  [[nodiscard]] std::size_t size() {
    const std::lock_guard lock(mutex_);
    return values_.size();
  }

 private:
  /// Guards values_.
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<T> values_;
};

}  // namespace blockpull
