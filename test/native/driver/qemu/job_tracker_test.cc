// SPDX-License-Identifier: Apache-2.0
//
// The tracker's state machine as a table: every step that it takes, failing in every way, and
// every status that it may find after it has lost sight of the job.

#include "driver/qemu/job_tracker.h"

#include <gtest/gtest.h>

#include "driver/qemu/tracker_rig.h"

namespace blockpull::driver::qemu {
namespace {

TEST(JobTrackerTest, FlushesBeforeItFinalizesAndReports) {
  TrackerRig rig;
  ASSERT_TRUE(rig.start_watching());
  rig.qemu.job->offset = 4096;
  for (int turns = 0; turns < 10 && rig.counters.settled == 0; ++turns) {
    rig.step();
  }
  EXPECT_EQ(rig.counters.settled, 4096U);
  rig.qemu.finish_copying();
  rig.monitor->tell_change();
  ASSERT_TRUE(rig.run_to("job-finalize"));
  EXPECT_TRUE(rig.qemu.copy_durable);
  EXPECT_FALSE(rig.qemu.header_durable && rig.qemu.below.empty());
  ASSERT_TRUE(rig.run_to("query-block"));
  EXPECT_TRUE(rig.qemu.is_durable());
  ASSERT_TRUE(rig.run());
  EXPECT_EQ(rig.ended_with(), std::nullopt);
  EXPECT_FALSE(rig.ends[0].verified);
  EXPECT_TRUE(rig.ends[0].durable);
  EXPECT_TRUE(rig.ends[0].released.empty());
  ASSERT_EQ(rig.ends[0].warnings.size(), 1U);
  EXPECT_NE(rig.ends[0].warnings[0].find("could not be read back from its files"),
            std::string::npos);
  EXPECT_NE(rig.ends[0].warnings[0].find("'/vms/top.qcow2' is not visible"), std::string::npos);
  EXPECT_EQ(rig.counters.settled, FakeQemu::kSize);
  EXPECT_EQ(rig.counters.method.load(), std::string("block-stream"));
  EXPECT_FALSE(rig.qemu.job);
  EXPECT_FALSE(rig.end->base);
  EXPECT_FALSE(rig.qemu.has_filter);
  EXPECT_EQ(rig.broken_promise(), "");
}

TEST(JobTrackerTest, WhereNoLayerDropsOutItEndsWithoutAJob) {
  TrackerRig rig;
  rig.keep("mid", 1);
  rig.plan.has_work = false;
  rig.qemu.job.reset();
  rig.start();
  ASSERT_TRUE(rig.run());
  EXPECT_EQ(rig.ended_with(), std::nullopt);
  EXPECT_EQ(rig.counters.moved, 0U);
  EXPECT_EQ(rig.end->base->path, "/vms/mid.qcow2");
  EXPECT_EQ(rig.qemu.count("block-stream"), 0U);
  EXPECT_EQ(rig.broken_promise(), "");
}

TEST(JobTrackerTest, AJobUnderWhichNoLayerDropsOutMovesNothing) {
  TrackerRig rig;
  rig.keep("mid", 1);
  rig.plan.has_work = false;
  rig.plan.was_there = true;
  rig.start();
  EXPECT_EQ(rig.counters.to_move, 0U);
  ASSERT_TRUE(rig.run_to("query-block-jobs"));
  rig.qemu.job->offset = 4096;
  while (rig.counters.settled == 0) {
    ASSERT_TRUE(rig.step());
  }
  EXPECT_EQ(rig.counters.moved, 0U);
  rig.qemu.finish_copying();
  ASSERT_TRUE(rig.run());
  EXPECT_EQ(rig.ended_with(), std::nullopt);
  EXPECT_EQ(rig.counters.moved, 0U);
  EXPECT_EQ(rig.counters.settled, FakeQemu::kSize);
}

TEST(JobTrackerTest, PollsAgainWithoutAnyEvent) {
  TrackerRig rig;
  rig.start();
  while (rig.qemu.count("query-block-jobs") < 3) {
    rig.step();
  }
  rig.qemu.finish_copying();
  ASSERT_TRUE(rig.run());
  EXPECT_EQ(rig.ended_with(), std::nullopt);
}

TEST(JobTrackerTest, EventsOfOtherJobsCauseNoPoll) {
  TrackerRig rig;
  rig.start();
  while (rig.qemu.count("query-migrate") == 0 || rig.host->outstanding() > 1) {
    ASSERT_TRUE(rig.step());
  }
  rig.qemu.job->id = "of-another";
  rig.monitor->tell_change();
  EXPECT_EQ(rig.host->outstanding(), 1U);  // its timer
}

/// How the job ends when one step fails in one way, and everything after it succeeds.
struct FailingStep {
  const char* step;
  Failing how;
  std::optional<ErrorKind> ends_with;
};

class FailingStepTest : public testing::TestWithParam<FailingStep> {};

TEST_P(FailingStepTest, EndsAsItsFailureSays) {
  TrackerRig rig;
  ASSERT_TRUE(rig.start_copied());
  ASSERT_TRUE(rig.run_to(GetParam().step));
  rig.monitor->step(GetParam().how);
  ASSERT_TRUE(rig.run());
  EXPECT_EQ(rig.ended_with(), GetParam().ends_with)
      << (rig.ends[0].error ? rig.ends[0].error->message : "completed");
  EXPECT_EQ(rig.broken_promise(), "");
  EXPECT_FALSE(rig.qemu.job);
  EXPECT_EQ(rig.left_node(), "");
}

constexpr std::optional<ErrorKind> kCompletes;

INSTANTIATE_TEST_SUITE_P(
    Steps, FailingStepTest,
    testing::Values(FailingStep{"query-block-jobs", Failing::kRefused, kCompletes},
                    FailingStep{"query-block-jobs", Failing::kLate, kCompletes},
                    FailingStep{"query-block-jobs", Failing::kLostBefore, kCompletes},
                    FailingStep{"query-status", Failing::kRefused, kCompletes},
                    FailingStep{"query-status", Failing::kLate, kCompletes},
                    FailingStep{"query-status", Failing::kLostBefore, kCompletes},
                    FailingStep{"query-migrate", Failing::kRefused, kCompletes},
                    FailingStep{"query-migrate", Failing::kLostAfter, kCompletes},
                    FailingStep{"flush", Failing::kRefused, ErrorKind::kIo},
                    FailingStep{"flush", Failing::kLate, kCompletes},
                    FailingStep{"flush", Failing::kLostBefore, kCompletes},
                    FailingStep{"flush", Failing::kLostAfter, kCompletes},
                    FailingStep{"job-finalize", Failing::kRefused, kCompletes},
                    FailingStep{"job-finalize", Failing::kLate, kCompletes},
                    FailingStep{"job-finalize", Failing::kLostBefore, kCompletes},
                    FailingStep{"job-finalize", Failing::kLostAfter, kCompletes},
                    FailingStep{"blockdev-add", Failing::kRefused, ErrorKind::kQemuError},
                    FailingStep{"blockdev-add", Failing::kLate, kCompletes},
                    FailingStep{"blockdev-add", Failing::kLostBefore, kCompletes},
                    FailingStep{"blockdev-add", Failing::kLostAfter, kCompletes},
                    FailingStep{"blockdev-del", Failing::kRefused, kCompletes},
                    FailingStep{"blockdev-del", Failing::kLate, kCompletes},
                    FailingStep{"blockdev-del", Failing::kLostBefore, kCompletes},
                    FailingStep{"blockdev-del", Failing::kLostAfter, kCompletes},
                    FailingStep{"query-named-block-nodes", Failing::kRefused, kCompletes},
                    FailingStep{"query-named-block-nodes", Failing::kLate, kCompletes},
                    FailingStep{"query-named-block-nodes", Failing::kLostBefore, kCompletes},
                    FailingStep{"query-named-block-nodes", Failing::kLostAfter, kCompletes},
                    FailingStep{"query-block", Failing::kRefused, kCompletes},
                    FailingStep{"query-block", Failing::kLostBefore, kCompletes},
                    FailingStep{"x-debug-query-block-graph", Failing::kLate, kCompletes}));

/// The last flush is the second one.
class LastFlushTest : public testing::TestWithParam<FailingStep> {};

TEST_P(LastFlushTest, IsNotReportedAsDoneUnlessItWas) {
  TrackerRig rig;
  ASSERT_TRUE(rig.start_copied());
  ASSERT_TRUE(rig.run_to("job-finalize"));
  ASSERT_TRUE(rig.run_to("flush"));
  rig.monitor->step(GetParam().how);
  ASSERT_TRUE(rig.run());
  EXPECT_EQ(rig.ended_with(), GetParam().ends_with);
  EXPECT_EQ(rig.broken_promise(), "");
  EXPECT_FALSE(rig.qemu.job);
}

INSTANTIATE_TEST_SUITE_P(Ways, LastFlushTest,
                         testing::Values(FailingStep{"", Failing::kRefused, ErrorKind::kIo},
                                         FailingStep{"", Failing::kLate, kCompletes},
                                         FailingStep{"", Failing::kLostBefore, kCompletes},
                                         FailingStep{"", Failing::kLostAfter, kCompletes}));

/// The second node, by which the header is read, is the third that is added, and the third that
/// goes.
class SecondNodeTest : public testing::TestWithParam<FailingStep> {};

TEST_P(SecondNodeTest, GoesAgainWhateverFails) {
  TrackerRig rig;
  ASSERT_TRUE(rig.start_copied());
  while (rig.qemu.count(GetParam().step) < 2 || rig.monitor->next() != GetParam().step) {
    ASSERT_TRUE(rig.step());
  }
  rig.monitor->step(GetParam().how);
  ASSERT_TRUE(rig.run());
  EXPECT_EQ(rig.ended_with(), kCompletes);
  EXPECT_EQ(rig.broken_promise(), "");
  EXPECT_EQ(rig.left_node(), "");
}

INSTANTIATE_TEST_SUITE_P(
    Ways, SecondNodeTest,
    testing::Values(FailingStep{"blockdev-add", Failing::kRefused, kCompletes},
                    FailingStep{"blockdev-add", Failing::kLate, kCompletes},
                    FailingStep{"blockdev-add", Failing::kLostBefore, kCompletes},
                    FailingStep{"blockdev-add", Failing::kLostAfter, kCompletes},
                    FailingStep{"blockdev-del", Failing::kLate, kCompletes},
                    FailingStep{"blockdev-del", Failing::kLostBefore, kCompletes},
                    FailingStep{"blockdev-del", Failing::kLostAfter, kCompletes}));

TEST(JobTrackerTest, AnUnexpectedHeaderInTheSecondNodeIsAFailure) {
  for (const bool keeps_base : {false, true}) {
    TrackerRig rig;
    if (keeps_base) {
      rig.keep_base();
      rig.plan.backing_file = "/vms/elsewhere.qcow2";
    }
    ASSERT_TRUE(rig.start_copied());
    ASSERT_TRUE(rig.run_to("query-named-block-nodes"));
    if (!keeps_base) {
      rig.qemu.below = {"base"};
    }
    ASSERT_TRUE(rig.run());
    ASSERT_EQ(rig.ended_with(), ErrorKind::kJobFailed);
    EXPECT_NE(rig.ends[0].error->message.find("states backing file '/vms/base.qcow2'"),
              std::string::npos)
        << rig.ends[0].error->message;
    EXPECT_NE(rig.ends[0].error->message.find("keep its backing files"), std::string::npos);
    EXPECT_EQ(rig.broken_promise(), "");
    EXPECT_EQ(rig.left_node(), "");
  }
}

/// What is found when the link is back, by the status; "" for none.
struct FoundStatus {
  const char* status;
  std::optional<ErrorKind> ends_with;
};

class FoundStatusTest : public testing::TestWithParam<FoundStatus> {};

TEST_P(FoundStatusTest, IsWhatCounts) {
  for (const char* const lost_at : {"query-block-jobs", "flush", "job-finalize"}) {
    TrackerRig rig;
    ASSERT_TRUE(rig.start_copied());
    ASSERT_TRUE(rig.run_to(lost_at));
    rig.monitor->step(Failing::kLostBefore);
    if (*GetParam().status == '\0') {
      rig.qemu.job.reset();
    } else {
      rig.qemu.job->status = GetParam().status;
    }
    // What is not an end yet comes to one.
    for (int turns = 0; turns < 200 && rig.ends.empty(); ++turns) {
      rig.monitor->restore();
      rig.step();
      if (turns == 100 && rig.qemu.job) {
        rig.qemu.job->status = "pending";
      }
    }
    ASSERT_TRUE(rig.run()) << lost_at;
    EXPECT_EQ(rig.ended_with(), GetParam().ends_with) << lost_at;
    EXPECT_EQ(rig.broken_promise(), "") << lost_at;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Statuses, FoundStatusTest,
    testing::Values(FoundStatus{"created", kCompletes}, FoundStatus{"running", kCompletes},
                    FoundStatus{"paused", kCompletes}, FoundStatus{"ready", kCompletes},
                    FoundStatus{"standby", kCompletes}, FoundStatus{"waiting", kCompletes},
                    FoundStatus{"pending", kCompletes}, FoundStatus{"aborting", kCompletes},
                    FoundStatus{"concluded", kCompletes}, FoundStatus{"null", kCompletes},
                    FoundStatus{"of-the-future", kCompletes},
                    FoundStatus{"", ErrorKind::kJobVanished}));

/// What is heard while it runs.
struct HeardEnd {
  const char* error;
  ErrorKind ends_with;
};

class HeardEndTest : public testing::TestWithParam<HeardEnd> {};

TEST_P(HeardEndTest, HasTheKindThatItsWordsStandFor) {
  TrackerRig rig;
  ASSERT_TRUE(rig.start_watching());
  rig.qemu.conclude(GetParam().error);
  ASSERT_TRUE(rig.run());
  ASSERT_EQ(rig.ended_with(), GetParam().ends_with);
  EXPECT_NE(rig.ends[0].error->message.find(GetParam().error), std::string::npos);
  EXPECT_EQ(rig.broken_promise(), "");
}

INSTANTIATE_TEST_SUITE_P(Words, HeardEndTest,
                         testing::Values(HeardEnd{"Input/output error", ErrorKind::kIo},
                                         HeardEnd{"No space left on device", ErrorKind::kNoSpace},
                                         HeardEnd{"what else", ErrorKind::kJobFailed}));

TEST(JobTrackerTest, ACancelOfAnotherProgramIsACancel) {
  TrackerRig rig;
  ASSERT_TRUE(rig.start_watching());
  rig.qemu.cancel();
  ASSERT_TRUE(rig.run());
  ASSERT_EQ(rig.ended_with(), ErrorKind::kCancelled);
  EXPECT_NE(rig.ends[0].error->message.find("by another program"), std::string::npos);
  EXPECT_EQ(rig.broken_promise(), "");
}

TEST(JobTrackerTest, ACancelByAQemuThatIsToldToQuitIsAFailure) {
  TrackerRig rig;
  ASSERT_TRUE(rig.start_watching());
  rig.qemu.events.push_back({"SHUTDOWN", "{}"});
  rig.qemu.cancel();
  ASSERT_TRUE(rig.run());
  ASSERT_EQ(rig.ended_with(), ErrorKind::kJobFailed);
  EXPECT_NE(rig.ends[0].error->message.find("asked to quit"), std::string::npos);
  EXPECT_EQ(rig.broken_promise(), "");
}

TEST(JobTrackerTest, AnUnheardEndCountsOnlyIfItWasExpected) {
  enum class Ends : std::uint8_t { kByOthers, kByItself };
  for (const Ends ends : {Ends::kByOthers, Ends::kByItself}) {
    TrackerRig rig;
    rig.keep_base();
    rig.plan.auto_finalize = ends == Ends::kByItself;
    ASSERT_TRUE(rig.start_watching());
    rig.monitor->step(Failing::kLostBefore);
    rig.qemu.job->offset = FakeQemu::kSize;
    rig.qemu.conclude(std::nullopt);
    ASSERT_TRUE(rig.run());
    EXPECT_EQ(rig.ended_with(),
              ends == Ends::kByItself ? kCompletes : std::optional(ErrorKind::kJobVanished));
    EXPECT_EQ(rig.broken_promise(), "");
  }
}

TEST(JobTrackerTest, AFailedFirstFlushCancelsTheJobAndIsTheReason) {
  TrackerRig rig;
  ASSERT_TRUE(rig.start_copied());
  rig.qemu.flush_fault = "qemu-io: flush failed";
  ASSERT_TRUE(rig.run());
  ASSERT_EQ(rig.ended_with(), ErrorKind::kIo);
  EXPECT_NE(rig.ends[0].error->message.find("flush failed"), std::string::npos);
  EXPECT_EQ(rig.qemu.count("job-finalize"), 0U);
  EXPECT_EQ(rig.qemu.count("job-cancel"), 1U);
  EXPECT_FALSE(rig.qemu.job);
  EXPECT_EQ(rig.qemu.below.size(), 2U);
}

TEST(JobTrackerTest, AJobFinalizedByOthersAfterAFailedFlushIsNotCompleted) {
  TrackerRig rig;
  ASSERT_TRUE(rig.start_copied());
  rig.qemu.flush_fault = "qemu-io: flush failed";
  ASSERT_TRUE(rig.run_to("job-cancel"));
  rig.qemu.flush_fault.reset();
  rig.qemu.conclude(std::nullopt);
  ASSERT_TRUE(rig.run());
  ASSERT_EQ(rig.ended_with(), ErrorKind::kIo);
  EXPECT_NE(rig.ends[0].error->message.find("keep its backing files"), std::string::npos);
}

TEST(JobTrackerTest, AJobFinalizedByOthersDuringAFailingFlushIsNotCompleted) {
  TrackerRig rig;
  ASSERT_TRUE(rig.start_copied());
  rig.qemu.flush_fault = "flush failed";
  ASSERT_TRUE(rig.run_to("blockdev-del"));
  rig.qemu.flush_fault.reset();
  rig.qemu.conclude(std::nullopt);
  ASSERT_TRUE(rig.run());
  EXPECT_EQ(rig.ended_with(), ErrorKind::kIo);
  EXPECT_EQ(rig.broken_promise(), "");
}

TEST(JobTrackerTest, AStopAtAnyStepEndsItOnceAndOnlyAsWhatItIs) {
  for (int stop_after = 0; stop_after < 120; ++stop_after) {
    TrackerRig rig;
    rig.start_and_take(stop_after);
    rig.tracker->stop(job::Stop::kCancel);
    rig.tracker->stop(job::Stop::kCancel);
    ASSERT_TRUE(rig.run()) << stop_after;
    const bool is_completed = !rig.ended_with().has_value();
    EXPECT_TRUE(is_completed || rig.ended_with() == ErrorKind::kCancelled) << stop_after;
    EXPECT_EQ(rig.qemu.below.empty(), is_completed) << stop_after;
    EXPECT_EQ(rig.broken_promise(), "") << stop_after;
    EXPECT_FALSE(rig.qemu.job) << stop_after;
  }
}

/// Runs to the end beside a QEMU that refuses every cancel; the copy is over after `copied_after`.
void run_uncancellable(TrackerRig& rig, std::size_t copied_after) {
  for (int turns = 0; turns < TrackerRig::kTurns && rig.ends.empty(); ++turns) {
    if (rig.qemu.count("query-block-jobs") == copied_after && rig.qemu.job->status == "running") {
      rig.qemu.finish_copying();
    }
    const bool is_cancel = rig.monitor->next() == "job-cancel";
    rig.step(is_cancel ? Failing::kRefused : Failing::kNothing);
  }
}

TEST(JobTrackerTest, AJobThatCannotBeCancelledContinuesWithAWarning) {
  for (const std::size_t copied_after : {1U, 5U}) {
    TrackerRig rig;
    rig.start();
    ASSERT_TRUE(rig.run_to("query-block-jobs"));
    rig.tracker->stop(job::Stop::kCancel);
    run_uncancellable(rig, copied_after);
    ASSERT_EQ(rig.ends.size(), 1U) << copied_after;
    EXPECT_EQ(rig.ended_with(), std::nullopt) << copied_after;
    ASSERT_EQ(rig.ends[0].warnings.size(), 2U) << copied_after;
    EXPECT_EQ(rig.ends[0].warnings[1],
              "QEMU refused to cancel the pull of disk 'vda': job-cancel is refused");
    EXPECT_EQ(rig.broken_promise(), "") << copied_after;
  }
}

TEST(JobTrackerTest, ACancelThatWasRefusedOnceIsTriedAgain) {
  for (const bool is_pending : {false, true}) {
    TrackerRig rig;
    rig.start();
    ASSERT_TRUE(rig.run_to("query-block-jobs"));
    if (is_pending) {
      rig.qemu.finish_copying();
    }
    rig.tracker->stop(job::Stop::kCancel);
    ASSERT_TRUE(rig.run_to("job-cancel"));
    rig.monitor->step(Failing::kRefused);
    ASSERT_TRUE(rig.run());
    EXPECT_EQ(rig.ended_with(), ErrorKind::kCancelled) << is_pending;
    EXPECT_TRUE(rig.ends[0].warnings.empty()) << is_pending;
  }
}

TEST(JobTrackerTest, AFailedFlushEndsItEvenIfQemuRefusesToCancel) {
  TrackerRig rig;
  rig.start();
  ASSERT_TRUE(rig.run_to("query-block-jobs"));
  rig.qemu.finish_copying();
  ASSERT_TRUE(rig.run_to("flush"));
  rig.monitor->step(Failing::kRefused);
  run_uncancellable(rig, 0);
  ASSERT_EQ(rig.ends.size(), 1U);
  EXPECT_EQ(rig.ended_with(), ErrorKind::kIo);
  EXPECT_EQ(rig.ends[0].warnings.size(), 1U);
  EXPECT_EQ(rig.qemu.count("job-finalize"), 0U);
  EXPECT_EQ(rig.broken_promise(), "");
}

TEST(JobTrackerTest, IfQemuEndsAtAnyStepAnUnseenOutcomeIsUnknown) {
  for (int dies_after = 0; dies_after < 120; ++dies_after) {
    TrackerRig rig;
    rig.keep_base();
    rig.start_and_take(dies_after);
    const bool had_ended = !rig.ends.empty();
    rig.monitor->end_qemu();
    ASSERT_TRUE(rig.run()) << dies_after;
    EXPECT_EQ(rig.broken_promise(), "") << dies_after;
    if (rig.ended_with()) {
      EXPECT_EQ(rig.ended_with(), ErrorKind::kJobVanished) << dies_after;
      EXPECT_FALSE(had_ended) << dies_after;
    } else {
      ASSERT_TRUE(rig.end->base) << dies_after;
      EXPECT_EQ(rig.end->base->path, "/vms/base.qcow2") << dies_after;
    }
  }
}

TEST(JobTrackerTest, TheBaseIsTakenFromTheChainElseFromThePlan) {
  for (const bool is_seen : {true, false}) {
    TrackerRig rig;
    rig.keep_base();
    rig.plan.base = KeptLayer{"/vms/planned.qcow2", "qcow2"};
    ASSERT_TRUE(rig.start_copied());
    ASSERT_TRUE(rig.run_to("job-finalize"));
    ASSERT_TRUE(rig.run_to("query-block"));
    rig.monitor->step(is_seen ? Failing::kNothing : Failing::kRefused);
    ASSERT_TRUE(rig.run());
    EXPECT_EQ(rig.ended_with(), std::nullopt);
    ASSERT_TRUE(rig.end->base);
    EXPECT_EQ(rig.end->base->path, is_seen ? "/vms/base.qcow2" : "/vms/planned.qcow2");
  }
}

}  // namespace
}  // namespace blockpull::driver::qemu
