// SPDX-License-Identifier: Apache-2.0
//
// A condition variable with deadlines on the monotonic clock, which nobody sets back. The standard
// one waits for such a deadline by pthread_cond_clockwait, which glibc has only since 2.30; the
// binaries of the package run on older ones (docs/building.md). Who has no deadline takes the
// standard one.
//
// Thread rule: any thread; waiting is done with the mutex held.

#pragma once

#include <mutex>

#include <pthread.h>

#include "core/base/clock.h"

namespace blockpull {

class SteadyCondition {
 public:
  SteadyCondition();
  SteadyCondition(const SteadyCondition&) = delete;
  SteadyCondition& operator=(const SteadyCondition&) = delete;
  ~SteadyCondition();

  void notify_one();

  /// Waits until `holds()`; `lock` is held whenever that is asked.
  template <typename Predicate>
  void wait(std::unique_lock<std::mutex>& lock, Predicate holds) {
    while (!holds()) {
      wait_once(lock);
    }
  }

  /// Waits until `holds()` or until `deadline`, a time of MonotonicClock; whether it holds.
  template <typename Predicate>
  bool wait_until(std::unique_lock<std::mutex>& lock, Nanoseconds deadline, Predicate holds) {
    while (!holds()) {
      if (!wait_once_until(lock, deadline)) {
        return holds();
      }
    }
    return true;
  }

 private:
  void wait_once(std::unique_lock<std::mutex>& lock);
  /// False once the deadline has passed. May return true for nothing.
  bool wait_once_until(std::unique_lock<std::mutex>& lock, Nanoseconds deadline);

  pthread_cond_t condition_;
};

}  // namespace blockpull
