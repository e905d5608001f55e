// SPDX-License-Identifier: Apache-2.0
//
// A tracked job that stops on an error: it shows the error, continues when it is resumed, and fails
// if nobody would resume it.

#include <gtest/gtest.h>

#include "driver/qemu/tracker_rig.h"

namespace blockpull::driver::qemu {
namespace {

class StreamStopTest : public testing::Test {
 protected:
  /// Starts it; it has stopped by the first poll, which shows that.
  void stop_on(const char* io_status) {
    ASSERT_TRUE(rig_.start_watching());
    rig_.qemu.job->status = "paused";
    rig_.qemu.job->stopped_on = io_status;
    while (!rig_.counters.stopped_on.load()) {
      ASSERT_TRUE(rig_.step());
    }
  }

  void resume() {
    rig_.tracker->resume([this](Result<void> result) { told_.push_back(std::move(result)); });
  }

  TrackerRig rig_;
  std::vector<Result<void>> told_;
};

TEST_F(StreamStopTest, ShowsTheErrorItStoppedOnAndDoesNothing) {
  stop_on("nospace");
  EXPECT_EQ(rig_.counters.stopped_on.load(), ErrorKind::kNoSpace);
  for (int turns = 0; turns < 50; ++turns) {
    rig_.step();
  }
  EXPECT_TRUE(rig_.ends.empty());
  EXPECT_EQ(rig_.qemu.count("job-cancel"), 0U);
  EXPECT_EQ(rig_.qemu.count("block-job-resume"), 0U);
}

TEST_F(StreamStopTest, AResumedJobShowsAsRunningAtOnceAndCompletes) {
  stop_on("failed");
  EXPECT_EQ(rig_.counters.stopped_on.load(), ErrorKind::kIo);
  resume();
  EXPECT_EQ(rig_.counters.stopped_on.load(), std::nullopt);
  ASSERT_TRUE(rig_.run_to("block-job-resume"));
  rig_.step();
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_TRUE(told_[0].ok());
  rig_.qemu.finish_copying();
  ASSERT_TRUE(rig_.run());
  EXPECT_EQ(rig_.ended_with(), std::nullopt);
  EXPECT_EQ(rig_.broken_promise(), "");
}

TEST_F(StreamStopTest, IgnoresAStatusQueryOlderThanTheResume) {
  stop_on("failed");
  rig_.tracker->fail_rather_than_stop();  // makes it look
  ASSERT_TRUE(rig_.run_to("query-block-jobs"));
  resume();
  while (rig_.monitor->next() != "block-job-resume") {
    rig_.step();
  }
  rig_.host->step();
  EXPECT_EQ(rig_.counters.stopped_on.load(), std::nullopt);
  rig_.step();
  rig_.qemu.finish_copying();
  ASSERT_TRUE(rig_.run());
  EXPECT_EQ(rig_.ended_with(), std::nullopt);
  EXPECT_EQ(rig_.qemu.count("job-cancel"), 0U);
}

TEST_F(StreamStopTest, ResumingOneThatRunsDoesNothing) {
  stop_on("failed");
  rig_.qemu.job->stopped_on.reset();
  resume();
  ASSERT_TRUE(rig_.run_to("block-job-resume"));
  rig_.step();
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_TRUE(told_[0].ok());
}

TEST_F(StreamStopTest, AStopNobodyWouldResumeFailsAndKeepsTheChain) {
  stop_on("nospace");
  rig_.tracker->fail_rather_than_stop();
  ASSERT_TRUE(rig_.run());
  EXPECT_EQ(rig_.ended_with(), ErrorKind::kNoSpace);
  EXPECT_EQ(rig_.qemu.count("job-cancel"), 1U);
  EXPECT_EQ(rig_.qemu.below.size(), 2U);
  EXPECT_EQ(rig_.broken_promise(), "");
}

TEST_F(StreamStopTest, AJobThatNeverStopsCompletesEvenIfToldToFail) {
  ASSERT_TRUE(rig_.start_watching());
  rig_.tracker->fail_rather_than_stop();
  rig_.qemu.finish_copying();
  ASSERT_TRUE(rig_.run());
  EXPECT_EQ(rig_.ended_with(), std::nullopt);
}

}  // namespace
}  // namespace blockpull::driver::qemu
