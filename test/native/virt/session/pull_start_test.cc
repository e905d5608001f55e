// SPDX-License-Identifier: Apache-2.0
//
// What is reported of a pull that is given up, depending on what came before.

#include "virt/session/pull_start.h"

#include <vector>

#include <gtest/gtest.h>

namespace blockpull::virt {
namespace {

struct Told {
  /// For each report, whether QEMU had been asked.
  std::vector<bool> times;

  void hear_of(PullStart& start) {
    start.when_given_up([this](bool was_asked) { times.push_back(was_asked); });
  }
};

TEST(PullStartTest, AfterAGiveUpQemuIsNotAsked) {
  Told told;
  PullStart start;
  told.hear_of(start);
  start.give_up();
  EXPECT_EQ(told.times, (std::vector<bool>{false}));
  EXPECT_FALSE(start.ask());
  EXPECT_FALSE(start.take());
}

TEST(PullStartTest, AfterAskingAGivenUpPullMayStartButIsNotTaken) {
  Told told;
  PullStart start;
  told.hear_of(start);
  EXPECT_TRUE(start.ask());
  start.give_up();
  start.give_up();
  EXPECT_EQ(told.times, (std::vector<bool>{true}));
  // The tracker of the job may be looked up again after QEMU has started it.
  EXPECT_TRUE(start.ask());
  EXPECT_FALSE(start.take());
}

TEST(PullStartTest, AnEarlierGiveUpIsReportedAtOnce) {
  Told told;
  PullStart start;
  start.give_up();
  told.hear_of(start);
  EXPECT_EQ(told.times, (std::vector<bool>{false}));
}

TEST(PullStartTest, ATakenPullCannotBeGivenUp) {
  Told told;
  PullStart start;
  told.hear_of(start);
  EXPECT_TRUE(start.ask());
  EXPECT_TRUE(start.take());
  start.give_up();
  EXPECT_TRUE(told.times.empty());
}

}  // namespace
}  // namespace blockpull::virt
