// SPDX-License-Identifier: Apache-2.0
//
// Callbacks run in the order of their times, and may cancel themselves or others.

#include "core/base/timer_queue.h"

#include <string>

#include <gtest/gtest.h>

namespace blockpull {
namespace {

class TimerQueueTest : public testing::Test {
 protected:
  std::uint64_t add(int when, char name) {
    return timers_.add(Nanoseconds(when), [this, name] { ran_ += name; });
  }

  TimerQueue timers_;
  std::string ran_;
};

TEST_F(TimerQueueTest, AnEmptyQueueHasNothingDue) {
  EXPECT_EQ(timers_.next(), Nanoseconds::max());
  timers_.run_due(Nanoseconds(1));
  timers_.cancel(7);
  timers_.cancel(0);
}

TEST_F(TimerQueueTest, RunsTimersByTimeThenInOrderOfArrival) {
  add(20, 'c');
  add(10, 'a');
  add(30, 'e');
  add(20, 'd');
  add(10, 'b');
  EXPECT_EQ(timers_.next(), Nanoseconds(10));
  timers_.run_due(Nanoseconds(20));
  EXPECT_EQ(ran_, "abcd");
  EXPECT_EQ(timers_.next(), Nanoseconds(30));
}

TEST_F(TimerQueueTest, CancelRemovesOnlyOneOfSeveralTimersDueTogether) {
  add(10, 'a');
  const auto ticket = add(10, 'b');
  add(10, 'c');
  timers_.cancel(ticket);
  timers_.cancel(ticket);
  timers_.run_due(Nanoseconds(10));
  EXPECT_EQ(ran_, "ac");
}

TEST_F(TimerQueueTest, ACallbackMayCancelItselfAndTheNext) {
  std::uint64_t own = 0;
  std::uint64_t next = 0;
  own = timers_.add(Nanoseconds(10), [&] {
    timers_.cancel(own);
    timers_.cancel(next);
  });
  next = add(10, 'x');
  add(10, 'b');
  timers_.run_due(Nanoseconds(10));
  EXPECT_EQ(ran_, "b");
}

TEST_F(TimerQueueTest, ATimerAddedByACallbackRunsInTheSameTurnIfDue) {
  timers_.add(Nanoseconds(10), [this] {
    add(10, 'a');
    add(11, 'x');
  });
  timers_.run_due(Nanoseconds(10));
  EXPECT_EQ(ran_, "a");
}

}  // namespace
}  // namespace blockpull
