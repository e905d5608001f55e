// SPDX-License-Identifier: Apache-2.0
//
// Requests to a tracked job outside its steps: release it, cancel and release it, and change its
// limit.

#include <gtest/gtest.h>

#include "driver/qemu/job_tracker.h"
#include "driver/qemu/tracker_rig.h"

namespace blockpull::driver::qemu {
namespace {

TEST(StreamLeavingTest, LeavingDoesNotChangeTheJob) {
  for (const job::Stop how : {job::Stop::kLeave, job::Stop::kAbandon}) {
    TrackerRig rig;
    ASSERT_TRUE(rig.start_watching());
    rig.tracker->stop(how);
    rig.tracker->stop(job::Stop::kCancel);
    EXPECT_EQ(rig.ended_with(), ErrorKind::kClosed);
    while (rig.step()) {
    }
    EXPECT_EQ(rig.ends.size(), 1U);
    EXPECT_TRUE(rig.qemu.job);
    EXPECT_EQ(rig.qemu.count("job-cancel"), 0U);
    EXPECT_EQ(rig.broken_promise(), "");
  }
}

TEST(StreamLeavingTest, ACancelBeforeLeavingIsACancel) {
  TrackerRig rig;
  ASSERT_TRUE(rig.start_watching());
  rig.tracker->stop(job::Stop::kCancel);
  rig.tracker->stop(job::Stop::kLeave);
  EXPECT_TRUE(rig.ends.empty());
  ASSERT_TRUE(rig.run());
  EXPECT_EQ(rig.qemu.count("job-cancel"), 1U);
  EXPECT_FALSE(rig.qemu.job);
}

TEST(StreamLeavingTest, WhatTheMonitorSaysAfterTheEndFindsNoHost) {
  TrackerRig rig;
  ASSERT_TRUE(rig.start_watching());
  rig.tracker->stop(job::Stop::kLeave);
  rig.host.reset();
  rig.monitor->step();
  EXPECT_EQ(rig.ends.size(), 1U);
}

TEST(StreamLeavingTest, ALimitIsHandedOnWhileItRuns) {
  TrackerRig rig;
  rig.make();
  rig.tracker->try_bandwidth(7, {});
  EXPECT_EQ(rig.monitor->next(), "");
  rig.start();
  rig.tracker->try_bandwidth(4096, {});
  while (rig.monitor->step()) {
  }
  EXPECT_EQ(rig.qemu.job->speed, 4096U);
}

}  // namespace
}  // namespace blockpull::driver::qemu
