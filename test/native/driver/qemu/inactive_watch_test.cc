// SPDX-License-Identifier: Apache-2.0
//
// What the polls of a job and of its guest say about whether the job has skipped writes.

#include "driver/qemu/inactive_watch.h"

#include <vector>

#include <gtest/gtest.h>

namespace blockpull::driver::qemu {
namespace {

const RunState kRuns{"running", "", ""};
const RunState kActive{"running", "active", "1"};
const RunState kAway{"postmigrate", "completed", "1"};
const RunState kBack{"running", "completed", "1"};

RunState failed(const std::string& status, const std::string& mark = "1") {
  return {status, "failed", mark};
}

RunState cancelled(const std::string& status, const std::string& mark = "1") {
  return {status, "cancelled", mark};
}

struct Look {
  bool stands;
  RunState state;
  /// Number of STOP and RESUME events before it.
  std::uint64_t switches = 0;
};

struct Story {
  const char* name;
  RunState begun;
  std::vector<Look> looks;
  bool is_tainted;
};

class InactiveWatchTest : public testing::TestWithParam<Story> {};

TEST_P(InactiveWatchTest, TellsWhetherTheJobMayHaveSkippedAnything) {
  const Story& story = GetParam();
  InactiveWatch watch(story.begun);
  for (std::size_t i = 0; i < story.looks.size(); ++i) {
    const Look& look = story.looks[i];
    EXPECT_FALSE(watch.is_tainted()) << "before look " << i + 1;
    watch.hear_switches(look.switches);
    watch.observe(look.stands, look.state);
    EXPECT_EQ(watch.state(), look.state);
    EXPECT_EQ(watch.must_stand(), !check_may_write(look.state).ok());
  }
  EXPECT_EQ(watch.is_tainted(), story.is_tainted);
}

/// A poll of a running job, and of a paused one.
Look runs(const RunState& state) {
  return {false, state};
}
Look stands(const RunState& state) {
  return {true, state};
}
Look runs_after_switch(const RunState& state) {
  return {false, state, 2};
}
Look stands_after_switch(const RunState& state) {
  return {true, state, 2};
}

std::string name_of(const testing::TestParamInfo<Story>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(
    HeldInTime, InactiveWatchTest,
    testing::Values(
        Story{"EveryLookOfTheDrawing",
              kRuns,
              {runs(kRuns), runs(kActive), stands(kActive), stands_after_switch(kAway),
               stands_after_switch(kBack)},
              false},
        Story{"UpToLook4",
              kRuns,
              {runs(kRuns), runs(kActive), stands(kActive), stands_after_switch(kAway)},
              false},
        Story{"Look4WasMissed",
              kRuns,
              {runs(kRuns), runs(kActive), stands(kActive), stands_after_switch(kBack)},
              false},
        Story{"ItStoodBeforeTheMigration",
              kRuns,
              {stands(kRuns), stands_after_switch(kAway), stands_after_switch(kBack)},
              false},
        Story{"ItIsFoundOnceTheGuestIsLoaded", {"inmigrate", "", ""}, {runs(kRuns)}, false},
        Story{"ItGoesOnAfterwards",
              kRuns,
              {stands(kActive), stands_after_switch(kAway), stands_after_switch(kBack), runs(kBack),
               runs(kBack)},
              false}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    NotHeldInTime, InactiveWatchTest,
    testing::Values(
        Story{"Look3WasMissedAsLook4Shows",
              kRuns,
              {runs(kRuns), runs(kActive), stands_after_switch(kAway)},
              true},
        Story{"Look3WasMissedAsLook5Shows",
              kRuns,
              {runs(kRuns), runs(kActive), stands_after_switch(kBack)},
              true},
        Story{"ItRanWhileTheyWereAway", kRuns, {stands(kActive), runs(kAway)}, true},
        Story{"ItRanWhileTheyWereAwayBetweenLooks", kRuns, {stands(kActive), runs(kBack)}, true},
        Story{"ItWasFoundInAGuestThatIsAway", kAway, {runs(kAway)}, true},
        Story{"ItRanInAGuestThatIsLoaded", kRuns, {runs({"inmigrate", "", ""})}, true},
        Story{"ItRanWhileAGuestIsSaved", kRuns, {runs({"save-vm", "", ""})}, true},
        Story{"ItRanInAStateThatIsNotKnown", kRuns, {runs({"of-the-future", "", ""})}, true},
        Story{"ItRanAsTheMigrationHandedOver", kRuns, {runs({"running", "device", "1"})}, true}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    BetweenTwoLooks, InactiveWatchTest,
    testing::Values(
        Story{"TheFirstMigrationShowsByItself", kRuns, {runs(kBack)}, true},
        Story{"AnotherMigrationShowsByItsNumbers",
              kBack,
              {runs({"running", "completed", "2"})},
              true},
        Story{"AnotherOneThatStoodShows", kBack, {stands({"running", "completed", "2"})}, true},
        Story{"AnOldOneIsNoReason", kBack, {runs(kBack), runs(kBack)}, false},
        Story{
            "AnOldOneAndASwitchMayBeAnother", kBack, {runs(kBack), runs_after_switch(kBack)}, true},
        Story{"AnOldOneAndASwitchWhileItStoodIsNot",
              kBack,
              {stands(kBack), stands_after_switch(kBack)},
              false},
        Story{"ASwitchWithoutAnyMigrationIsNone",
              kRuns,
              {runs_after_switch({"paused", "", ""}), runs_after_switch(kRuns)},
              false},
        Story{"ASwitchCountsForOneLookOnly",
              kRuns,
              {runs_after_switch(kRuns), runs(kActive), runs(cancelled("running"))},
              false}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    FailedOrCancelled, InactiveWatchTest,
    testing::Values(
        Story{"FailedWhileTheGuestRan", kRuns, {runs(kActive), runs(failed("running"))}, false},
        Story{
            "CancelledWhileTheGuestRan", kRuns, {runs(kActive), runs(cancelled("running"))}, false},
        Story{"FailedAfterTheSwitch",
              kRuns,
              {runs(kActive), runs_after_switch(failed("running"))},
              true},
        Story{"CancelledAfterTheSwitch",
              kRuns,
              {runs(kActive), runs_after_switch(cancelled("running"))},
              true},
        Story{"FailedAfterTheSwitchAndItStood",
              kRuns,
              {runs(kActive), stands(kActive), stands_after_switch(failed("running"))},
              false},
        Story{"FailedInAGuestThatStands", kRuns, {runs(failed("paused"))}, true},
        Story{"CancelledInAGuestThatStands", kRuns, {runs(cancelled("paused"))}, true},
        Story{"AnOldFailedOneAndASwitch",
              failed("running"),
              {runs_after_switch(failed("running"))},
              false},
        Story{"AnOldFailedOneInAGuestThatStands",
              failed("running"),
              {runs_after_switch(failed("paused"))},
              false},
        Story{"AnOldCompletedOneAndOneOfTheTwo", kBack, {Look{false, kBack, 1}}, false},
        Story{"AnOldCompletedOneAndAGuestThatStood",
              {"paused", "completed", "1"},
              {Look{false, kBack, 1}},
              true},
        Story{"BackFromOneAndIntoTheNext",
              kRuns,
              {runs(kActive), runs_after_switch({"running", "active", "2"})},
              true},
        Story{"AnotherFailedOneAndASwitch",
              failed("running"),
              {runs_after_switch(failed("running", "2"))},
              true}),
    name_of);

TEST(InactiveWatchAgainTest, ARestartedJobHasSkippedNothingAndIsStillWatched) {
  InactiveWatch watch(kRuns);
  watch.observe(false, kBack);
  ASSERT_TRUE(watch.is_tainted());
  watch.observe(true, kBack);
  EXPECT_TRUE(watch.is_tainted());
  watch.restart();
  EXPECT_FALSE(watch.is_tainted());
  EXPECT_EQ(watch.state(), kBack);
  watch.observe(false, kBack);
  EXPECT_FALSE(watch.is_tainted());
  watch.observe(false, {"running", "completed", "2"});
  EXPECT_TRUE(watch.is_tainted());
}

TEST(InactiveWatchAgainTest, TheOldJobsPauseSaysNothingAboutTheNewJob) {
  InactiveWatch watch(kRuns);
  watch.observe(true, kRuns);
  watch.restart();
  watch.observe(true, kAway);
  EXPECT_TRUE(watch.is_tainted());
}

}  // namespace
}  // namespace blockpull::driver::qemu
