// SPDX-License-Identifier: Apache-2.0
//
// A walk and its caller, on both sides of a watch.

#include "core/base/walk_watch.h"

#include <gtest/gtest.h>

namespace blockpull {
namespace {

TEST(WalkWatch, IsWantedUntilItIsGivenUp) {
  const WalkWatch caller([] { return true; });
  const WalkWatch walk = caller;
  EXPECT_TRUE(walk.check().ok());
  caller.give_up();
  ASSERT_FALSE(walk.check().ok());
  EXPECT_EQ(walk.check().error().kind, ErrorKind::kCancelled);
}

TEST(WalkWatch, IsCancelledWhenTheCallerIsGone) {
  bool is_ending = false;
  const WalkWatch walk([&is_ending] { return !is_ending; });
  EXPECT_TRUE(walk.check().ok());
  is_ending = true;
  EXPECT_FALSE(walk.check().ok());
}

TEST(WalkWatch, ProgressGoesUpToItsTotalAndNeverBack) {
  const WalkWatch walk([] { return true; });
  EXPECT_FALSE(walk.progress());
  walk.begin(WalkPhase::kTables, 100);
  EXPECT_EQ(walk.progress()->done_bytes, 0U);
  walk.reach(60);
  walk.reach(40);
  EXPECT_EQ(walk.progress()->done_bytes, 60U);
  walk.reach(140);
  EXPECT_EQ(walk.progress()->done_bytes, 100U);
  walk.begin(WalkPhase::kData, 7);
  EXPECT_EQ(walk.progress()->phase, WalkPhase::kData);
  EXPECT_EQ(walk.progress()->done_bytes, 0U);
  EXPECT_EQ(walk.progress()->total_bytes, 7U);
}

}  // namespace
}  // namespace blockpull
