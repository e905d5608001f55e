// SPDX-License-Identifier: Apache-2.0
//
// What is requested of a job while its guest is migrated, and afterwards.

#include "driver/qemu/job_hold.h"

#include <vector>

#include <gtest/gtest.h>

namespace blockpull::driver::qemu {
namespace {

using Move = JobHold::Move;
using qmp::JobStatus;

const RunState kRuns{"running", "", ""};
const RunState kActive{"running", "active", "1"};
const RunState kAway{"postmigrate", "completed", "1"};
const RunState kBack{"running", "completed", "1"};

qmp::BlockJob job(JobStatus status, std::optional<ErrorKind> stopped_on = {}) {
  qmp::BlockJob job;
  job.status = status;
  job.stopped_on = stopped_on;
  return job;
}

Error refusal(const char* words) {
  Error error = make_error(ErrorKind::kQemuError, words);
  error.qemu = QemuOrigin{"job-pause", "GenericError", words};
  return error;
}

/// The first request to a job that is not paused yet.
struct First {
  JobStatus status;
  std::optional<ErrorKind> stopped_on;
  Move where_it_may_write;
  Move where_not;
};

TEST(JobHoldTest, OnlyAJobThatRunsIsPaused) {
  const std::vector<First> cases{
      {JobStatus::kCreated, {}, Move::kNothing, Move::kPause},
      {JobStatus::kRunning, {}, Move::kNothing, Move::kPause},
      // Paused by QEMU itself, for a moment.
      {JobStatus::kPaused, {}, Move::kNothing, Move::kPause},
      {JobStatus::kReady, {}, Move::kNothing, Move::kPause},
      {JobStatus::kOther, {}, Move::kNothing, Move::kPause},
      {JobStatus::kWaiting, {}, Move::kNothing, Move::kWait},
      {JobStatus::kPending, {}, Move::kNothing, Move::kWait},
      {JobStatus::kPaused, ErrorKind::kNoSpace, Move::kNothing, Move::kWait}};
  for (const First& first : cases) {
    const qmp::BlockJob shown = job(first.status, first.stopped_on);
    JobHold hold(kRuns, false);
    hold.observe(&shown, kRuns, 0);
    EXPECT_EQ(hold.next(shown), first.where_it_may_write);
    for (const RunState& state : {kActive, kAway, RunState{"inmigrate", "", ""}}) {
      JobHold away(kRuns, false);
      away.observe(&shown, state, 0);
      EXPECT_TRUE(away.must_stand());
      EXPECT_EQ(away.next(shown), first.where_not) << state.status << state.migration;
      EXPECT_FALSE(away.is_held(shown));
    }
  }
}

TEST(JobHoldTest, APausedJobIsResumedOnceTheGuestIsBack) {
  const qmp::BlockJob running = job(JobStatus::kRunning);
  const qmp::BlockJob paused = job(JobStatus::kPaused);
  JobHold hold(kRuns, false);
  hold.observe(&running, kActive, 0);
  ASSERT_EQ(hold.next(running), Move::kPause);
  hold.pause_asked();
  hold.pause_answered({});
  // It was requested, but the job has not stopped yet.
  hold.observe(&running, kActive, 0);
  EXPECT_EQ(hold.next(running), Move::kWait);
  EXPECT_FALSE(hold.is_held(running));
  hold.observe(&paused, kActive, 0);
  EXPECT_EQ(hold.next(paused), Move::kWait);
  EXPECT_TRUE(hold.is_held(paused));
  hold.observe(&paused, kAway, 1);
  EXPECT_EQ(hold.next(paused), Move::kWait);
  hold.observe(&paused, kBack, 1);
  EXPECT_EQ(hold.next(paused), Move::kResume);
  EXPECT_FALSE(hold.is_tainted());
  hold.resume_answered({});
  EXPECT_EQ(hold.next(running), Move::kNothing);
  EXPECT_EQ(hold.next(paused), Move::kNothing);
}

/// QEMU's answer to a pause.
struct PauseAnswer {
  Result<void> answer;
  bool is_held;
};

TEST(JobHoldTest, ARefusalToPauseIsNoPauseUnlessItIsPausedAlready) {
  const std::vector<PauseAnswer> cases{
      {{}, true},
      {refusal("Job is already paused"), true},
      {refusal("Job 'x' in state 'waiting' cannot accept command verb 'pause'"), false},
      {refusal("Job not found"), false}};
  const qmp::BlockJob running = job(JobStatus::kRunning);
  const qmp::BlockJob paused = job(JobStatus::kPaused);
  for (const PauseAnswer& said : cases) {
    JobHold hold(kRuns, false);
    hold.observe(&running, kActive, 0);
    hold.pause_asked();
    hold.pause_answered(said.answer);
    EXPECT_EQ(hold.is_held(paused), said.is_held);
    hold.observe(&running, kActive, 0);
    EXPECT_EQ(hold.next(running), said.is_held ? Move::kWait : Move::kPause);
    hold.observe(&paused, kAway, 1);
    EXPECT_EQ(hold.is_tainted(), true);
  }
}

TEST(JobHoldTest, AnUnansweredPauseIsUndoneAfterTheMigration) {
  const qmp::BlockJob running = job(JobStatus::kRunning);
  const qmp::BlockJob paused = job(JobStatus::kPaused);
  JobHold hold(kRuns, false);
  hold.observe(&running, kActive, 0);
  ASSERT_EQ(hold.next(running), Move::kPause);
  hold.pause_asked();
  hold.observe(&paused, {"running", "cancelled", "1"}, 0);
  EXPECT_FALSE(hold.is_held(paused));
  EXPECT_EQ(hold.next(paused), Move::kResume);
  hold.resume_answered({});
  EXPECT_EQ(hold.next(paused), Move::kNothing);
}

TEST(JobHoldTest, ARefusedResumeIsRetriedUnlessTheJobRuns) {
  const qmp::BlockJob paused = job(JobStatus::kPaused);
  JobHold hold(kRuns, true);
  hold.observe(&paused, kRuns, 0);
  ASSERT_EQ(hold.next(paused), Move::kResume);
  hold.resuming();
  hold.resume_answered(refusal("cannot be done now"));
  EXPECT_EQ(hold.next(paused), Move::kResume);
  hold.resuming();
  hold.resume_answered(refusal("Can't resume a job that was not paused"));
  EXPECT_EQ(hold.next(paused), Move::kNothing);
}

TEST(JobHoldTest, AJobPausedByAnEarlierProcessIsResumed) {
  const qmp::BlockJob paused = job(JobStatus::kPaused);
  const qmp::BlockJob stopped = job(JobStatus::kPaused, ErrorKind::kIo);
  const qmp::BlockJob pending = job(JobStatus::kPending);
  const qmp::BlockJob running = job(JobStatus::kRunning);
  JobHold hold(kRuns, true);
  hold.observe(&paused, kRuns, 0);
  EXPECT_EQ(hold.next(paused), Move::kResume);
  EXPECT_EQ(hold.next(stopped), Move::kNothing);
  EXPECT_EQ(hold.next(pending), Move::kNothing);
  EXPECT_EQ(hold.next(running), Move::kNothing);
  hold.resume_answered({});
  EXPECT_EQ(hold.next(paused), Move::kNothing);
}

TEST(JobHoldTest, AJobIdleThroughAMigrationLacksNothing) {
  for (const qmp::BlockJob& stands : {job(JobStatus::kPending), job(JobStatus::kWaiting),
                                      job(JobStatus::kPaused, ErrorKind::kNoSpace)}) {
    JobHold hold(kRuns, false);
    hold.observe(&stands, kActive, 0);
    hold.observe(&stands, kAway, 1);
    hold.observe(&stands, kBack, 1);
    EXPECT_FALSE(hold.is_tainted());
    EXPECT_FALSE(hold.must_stand());
    EXPECT_EQ(hold.next(stands), Move::kNothing);
  }
}

TEST(JobHoldTest, AJobPausedByOthersMayBeResumedByThem) {
  const qmp::BlockJob paused = job(JobStatus::kPaused);
  JobHold hold(kRuns, false);
  hold.observe(&paused, kActive, 0);
  hold.observe(&paused, kAway, 1);
  EXPECT_TRUE(hold.is_tainted());
}

TEST(JobHoldTest, WithoutAJobNothingRuns) {
  JobHold hold(kRuns, false);
  hold.observe(nullptr, kRuns, 0);
  hold.observe(nullptr, kAway, 1);
  hold.observe(nullptr, kBack, 1);
  EXPECT_FALSE(hold.is_tainted());
  EXPECT_EQ(hold.state(), kBack);
}

TEST(JobHoldTest, ARestartedJobIsNotPausedAndHasSkippedNothing) {
  const qmp::BlockJob running = job(JobStatus::kRunning);
  const qmp::BlockJob paused = job(JobStatus::kPaused);
  JobHold hold(kRuns, true);
  hold.observe(&running, kActive, 0);
  hold.pause_asked();
  hold.pause_answered({});
  hold.observe(&paused, kBack, 1);
  ASSERT_TRUE(hold.is_tainted());
  hold.restart();
  EXPECT_FALSE(hold.is_tainted());
  EXPECT_FALSE(hold.is_held(paused));
  hold.observe(&running, kBack, 0);
  EXPECT_FALSE(hold.is_tainted());
  EXPECT_EQ(hold.next(running), Move::kNothing);
}

}  // namespace
}  // namespace blockpull::driver::qemu
