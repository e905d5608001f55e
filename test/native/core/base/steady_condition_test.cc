// SPDX-License-Identifier: Apache-2.0
//
// Waiting for a condition or a time, whichever comes first.

#include "core/base/steady_condition.h"

#include <thread>

#include <gtest/gtest.h>

namespace blockpull {
namespace {

const MonotonicClock monotonic;

TEST(SteadyCondition, WhatHoldsAlreadyIsNotWaitedFor) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  SteadyCondition condition;
  condition.wait(lock, [] { return true; });
  EXPECT_TRUE(condition.wait_until(lock, Nanoseconds(0), [] { return true; }));
  EXPECT_TRUE(lock.owns_lock());
}

TEST(SteadyCondition, ATimeThatHasPassedEndsTheWaitAtOnce) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  SteadyCondition condition;
  for (const Nanoseconds passed : {Nanoseconds::min(), Nanoseconds(-1), Nanoseconds(0)}) {
    int asked = 0;
    const auto never = [&asked] {
      ++asked;
      return false;
    };
    EXPECT_FALSE(condition.wait_until(lock, passed, never));
    EXPECT_EQ(asked, 2);
  }
}

TEST(SteadyCondition, AWaitForNothingEndsNotBeforeItsTimeOnTheMonotonicClock) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  SteadyCondition condition;
  const Nanoseconds deadline = monotonic.now() + std::chrono::milliseconds(20);
  EXPECT_FALSE(condition.wait_until(lock, deadline, [] { return false; }));
  EXPECT_GE(monotonic.now(), deadline);
}

TEST(SteadyCondition, NewsFromAnotherThreadEndAWaitWithAndWithoutATime) {
  const Nanoseconds far = Nanoseconds::max() - Nanoseconds(1);
  for (const bool timed : {false, true}) {
    std::mutex mutex;
    SteadyCondition condition;
    bool news = false;
    std::unique_lock lock(mutex);
    // It gets the mutex only once this thread waits.
    std::thread teller([&] {
      const std::lock_guard told(mutex);
      news = true;
      condition.notify_one();
    });
    if (timed) {
      EXPECT_TRUE(condition.wait_until(lock, far, [&news] { return news; }));
    } else {
      condition.wait(lock, [&news] { return news; });
    }
    EXPECT_TRUE(news);
    lock.unlock();
    teller.join();
  }
}

}  // namespace
}  // namespace blockpull
