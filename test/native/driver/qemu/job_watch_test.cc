// SPDX-License-Identifier: Apache-2.0
//
// A stop of the guest counts for every poll that may have missed it.

#include "driver/qemu/job_watch.h"

#include <gtest/gtest.h>

#include "driver/qemu/fake_monitor.h"

namespace blockpull::driver::qemu {
namespace {

class JobWatchTest : public testing::Test {
 protected:
  JobWatchTest() { pass(); }

  void pass() {
    while (monitor_->step()) {
    }
  }

  void stop_guest() {
    qemu_.events.push_back({"STOP", "{}"});
    pass();
  }

  FakeQemu qemu_;
  const std::shared_ptr<FakeMonitor> monitor_ = std::make_shared<FakeMonitor>(qemu_);
  const std::shared_ptr<JobWatch> watch_ = JobWatch::begin(monitor_, "job");
};

TEST_F(JobWatchTest, AStopBeforeAPollCountsOnlyForThatPoll) {
  stop_guest();
  watch_->begin_poll();
  EXPECT_EQ(watch_->end_poll(), 1U);
  watch_->begin_poll();
  EXPECT_EQ(watch_->end_poll(), 0U);
}

TEST_F(JobWatchTest, AStopDuringAPollAlsoCountsForTheNext) {
  watch_->begin_poll();
  stop_guest();
  EXPECT_EQ(watch_->end_poll(), 1U);
  watch_->begin_poll();
  EXPECT_EQ(watch_->end_poll(), 1U);
  watch_->begin_poll();
  EXPECT_EQ(watch_->end_poll(), 0U);
}

TEST_F(JobWatchTest, EventsBeforeAFailedPollCountForTheNext) {
  stop_guest();
  watch_->begin_poll();
  watch_->begin_poll();
  EXPECT_EQ(watch_->end_poll(), 1U);
}

TEST_F(JobWatchTest, AConnectionThatBreaksMayHaveMissedAStop) {
  monitor_->execute({"query-block-jobs", "", false}, [](const Result<qmp::Json>& /*lost*/) {});
  monitor_->step(Failing::kLostBefore);
  watch_->begin_poll();
  EXPECT_EQ(watch_->end_poll(), 2U);
}

}  // namespace
}  // namespace blockpull::driver::qemu
