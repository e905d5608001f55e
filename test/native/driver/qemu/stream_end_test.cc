// SPDX-License-Identifier: Apache-2.0
//
// What the end of a followed job may not claim, and when it must not come.

#include <gtest/gtest.h>

#include "driver/qemu/tracker_rig.h"

namespace blockpull::driver::qemu {
namespace {

TEST(StreamEndTest, ASnapshotTakenDuringTheEndKeepsTheBackingFile) {
  TrackerRig rig;
  ASSERT_TRUE(rig.start_copied());
  rig.qemu.has_snapshot = true;
  ASSERT_TRUE(rig.run());
  ASSERT_EQ(rig.ended_with(), ErrorKind::kJobFailed);
  EXPECT_NE(rig.ends[0].error->message.find("got an internal snapshot"), std::string::npos);
  EXPECT_EQ(rig.qemu.count("job-finalize"), 0U);
  EXPECT_EQ(rig.qemu.below.size(), 2U);
}

TEST(StreamEndTest, IsNotDurableWhereTheNodeOfTheFileIgnoresFlushes) {
  TrackerRig rig;
  rig.qemu.file_ignores_flushes = true;
  ASSERT_TRUE(rig.start_copied());
  ASSERT_TRUE(rig.run());
  ASSERT_EQ(rig.ended_with(), std::nullopt);
  EXPECT_FALSE(rig.ends[0].durable);
  EXPECT_NE(rig.ends[0].warnings.back().find("ignores flushes"), std::string::npos);
}

TEST(StreamEndTest, AFilterUnderOursOnlyRepeatsTheFlush) {
  TrackerRig rig;
  rig.qemu.filters_to_come = 2;
  ASSERT_TRUE(rig.start_copied());
  ASSERT_TRUE(rig.run());
  ASSERT_EQ(rig.ended_with(), std::nullopt);
  EXPECT_TRUE(rig.ends[0].durable);
  // Two flushes make the end durable, and two more were begun again.
  EXPECT_EQ(rig.qemu.count("blockdev-reopen"), 4U);
  EXPECT_FALSE(rig.qemu.has_filter);
}

TEST(StreamEndTest, RepeatedNewFiltersMakeTheFlushFail) {
  TrackerRig rig;
  rig.qemu.filters_to_come = 1000;
  ASSERT_TRUE(rig.start_copied());
  ASSERT_TRUE(rig.run());
  ASSERT_EQ(rig.ended_with(), ErrorKind::kIo);
  EXPECT_EQ(rig.qemu.count("job-finalize"), 0U);
  EXPECT_FALSE(rig.qemu.has_filter);
}

}  // namespace
}  // namespace blockpull::driver::qemu
