// SPDX-License-Identifier: Apache-2.0
//
// From a disk's name to a job that QEMU runs, and what stands in the way; and the flush.

#include "driver/qemu/start_stream.h"

#include <gtest/gtest.h>

#include "driver/qemu/fake_monitor.h"
#include "driver/qemu/flush.h"
#include "driver/qemu/job_id.h"
#include "driver/qemu/left_job.h"

namespace blockpull::driver {
namespace {

class StartStreamTest : public testing::Test {
 protected:
  void ask(bool is_followed = false) {
    options_.disk.path = "/vms/top.qcow2";
    options_.disk.name = "vda";
    start_stream(
        monitor_, options_,
        [is_followed](const std::string&) {
          return Follower{is_followed, nullptr};
        },
        [this](Result<StartedStream> stream) { told_.push_back(std::move(stream)); });
  }

  /// Goes on until the monitor is about to do `command`.
  void run_to(const std::string& command) {
    while (monitor_->next() != command && monitor_->step()) {
    }
  }

  const Result<StartedStream>& run() {
    while (monitor_->step()) {
    }
    EXPECT_EQ(told_.size(), 1U);
    return told_.at(0);
  }

  const std::string id_ = job_id_for("vda", "top");
  FakeQemu qemu_;
  const std::shared_ptr<FakeMonitor> monitor_ = std::make_shared<FakeMonitor>(qemu_);
  GuestPullOptions options_;
  std::vector<Result<StartedStream>> told_;
};

TEST_F(StartStreamTest, AsksForAJobThatWaits) {
  options_.base = BaseChoice{"", 2};
  options_.bytes_per_second = 4096;
  ask();
  const auto& plan = run();
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->plan.job_id, id_);
  EXPECT_FALSE(plan->plan.auto_finalize);
  EXPECT_FALSE(plan->watch->end());
  ASSERT_TRUE(qemu_.job);
  EXPECT_EQ(qemu_.job->id, id_);
  EXPECT_FALSE(qemu_.job->auto_finalize);
  EXPECT_EQ(qemu_.job->base_node, "base");
  EXPECT_EQ(qemu_.job->speed, 4096U);
  EXPECT_TRUE(qemu_.faults_of_client.empty());
}

TEST_F(StartStreamTest, AChainThatGetsShorterBetweenTwoAnswersIsLookedAtAgain) {
  qemu_.below = {"snap", "mid", "base"};
  options_.base = BaseChoice{"/vms/base.qcow2", std::nullopt};
  ask();
  run_to("x-debug-query-block-graph");
  qemu_.below = {"mid", "base"};
  const auto& stream = run();
  ASSERT_TRUE(stream.ok()) << stream.error().message;
  EXPECT_EQ(stream->plan.depth, 3U);
  EXPECT_EQ(stream->plan.released, std::vector<std::string>{"/vms/mid.qcow2"});
  EXPECT_EQ(qemu_.job->base_node, "base");
  EXPECT_EQ(qemu_.count("query-block"), 2U);
}

TEST_F(StartStreamTest, OneThatNobodyWillFollowFinalizesItself) {
  options_.will_be_followed = false;
  ask();
  EXPECT_TRUE(run().ok());
  EXPECT_TRUE(told_[0]->plan.auto_finalize);
  EXPECT_TRUE(qemu_.job->auto_finalize);
}

TEST_F(StartStreamTest, AJobOfOursThatKeepsAnotherBaseIsNotTakenOver) {
  qemu_.job = FakeQemu::Job{};
  qemu_.job->id = id_;
  qemu_.job->base_node = "base";
  options_.base.reset();
  ask();
  EXPECT_EQ(run().error().kind, ErrorKind::kJobActive);
  EXPECT_EQ(qemu_.count("block-stream"), 0U);
  EXPECT_EQ(qemu_.count("job-cancel"), 0U);
}

TEST_F(StartStreamTest, AJobOfOursThatLivesIsTakenOverAsItIs) {
  qemu_.job = FakeQemu::Job{};
  qemu_.job->id = id_;
  qemu_.job->base_node = "base";
  options_.base = BaseChoice{"/vms/base.qcow2", std::nullopt};
  ask();
  const auto& stream = run();
  ASSERT_TRUE(stream.ok());
  EXPECT_TRUE(stream->was_there);
  EXPECT_EQ(qemu_.count("block-stream"), 0U);
  EXPECT_EQ(qemu_.count("block-job-set-speed"), 0U);
  ASSERT_TRUE(stream->plan.base);
  EXPECT_EQ(stream->plan.base->path, "/vms/base.qcow2");
  EXPECT_EQ(stream->plan.released, std::vector<std::string>{"/vms/mid.qcow2"});
}

TEST_F(StartStreamTest, TheEndOfAJobThatEndsAtOnceIsHeard) {
  options_.will_be_followed = false;
  qemu_.is_fast = true;
  ask();
  EXPECT_TRUE(run().ok());
  ASSERT_TRUE(told_[0]->watch->end());
  EXPECT_FALSE(told_[0]->watch->end()->error);
}

TEST_F(StartStreamTest, OneThatThisProcessFollowsIsActive) {
  ask(true);
  EXPECT_EQ(run().error().kind, ErrorKind::kJobActive);
  EXPECT_FALSE(qemu_.job);
}

TEST_F(StartStreamTest, AQuestionThatIsRefusedOrLateIsToldOnceAndLeavesNoJob) {
  for (const char* const command :
       {"query-block", "x-debug-query-block-graph", "query-block-jobs", "block-stream"}) {
    for (const Failing how : {Failing::kRefused, Failing::kLate}) {
      told_.clear();
      ask();
      run_to(command);
      EXPECT_EQ(monitor_->next(), command);
      monitor_->step(how);
      EXPECT_FALSE(run().ok()) << command;
      EXPECT_FALSE(qemu_.job) << command;
    }
  }
}

TEST_F(StartStreamTest, AnAnswerThatWasLostIsAskedForAgain) {
  for (const char* const command :
       {"query-block", "x-debug-query-block-graph", "query-block-jobs", "block-stream"}) {
    for (const Failing how : {Failing::kLostBefore, Failing::kLostAfter}) {
      told_.clear();
      qemu_.job.reset();
      ask();
      run_to(command);
      monitor_->step(how);
      monitor_->restore();
      EXPECT_TRUE(run().ok()) << command;
      EXPECT_TRUE(qemu_.job) << command;
    }
  }
}

TEST_F(StartStreamTest, ACancelAfterATimeoutHoldsItsMonitor) {
  auto monitor = std::make_shared<FakeMonitor>(qemu_);
  const std::weak_ptr<FakeMonitor> weak = monitor;
  options_.disk.path = "/vms/top.qcow2";
  start_stream(
      monitor, options_, [](const std::string&) { return Follower(); },
      [this](Result<StartedStream> stream) { told_.push_back(std::move(stream)); });
  while (monitor->next() != "block-stream" && monitor->step()) {
  }
  monitor->step(Failing::kLate);
  EXPECT_EQ(monitor->next(), "job-cancel");
  FakeMonitor* const held = monitor.get();
  monitor.reset();
  ASSERT_FALSE(weak.expired());
  held->step();
  EXPECT_TRUE(weak.expired());
  EXPECT_FALSE(qemu_.job);
}

TEST_F(StartStreamTest, WithoutItsQemuItIsLost) {
  ask();
  monitor_->end_qemu();
  EXPECT_EQ(run().error().kind, ErrorKind::kMonitorLost);
}

struct Refusal {
  const char* words;
  ErrorKind kind;
};

class RefusalTest : public StartStreamTest, public testing::WithParamInterface<Refusal> {};

TEST_P(RefusalTest, OfQemuHasTheKindThatItsWordsStandFor) {
  qemu_.stream_fault = GetParam().words;
  ask();
  EXPECT_EQ(run().error().kind, GetParam().kind);
  EXPECT_NE(told_[0].error().message.find(GetParam().words), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Words, RefusalTest,
    testing::Values(Refusal{"Job ID 'x' already in use", ErrorKind::kJobActive},
                    Refusal{"Node 'd0' is busy: block device is in use by block job: stream",
                            ErrorKind::kJobActive},
                    Refusal{"Cannot find device='nope' nor node-name='nope'", ErrorKind::kNoDisk},
                    Refusal{"Node 'n0' is not a backing image of 'd0'", ErrorKind::kNoBase},
                    Refusal{"Can't find 'x' in the backing chain", ErrorKind::kNoBase},
                    Refusal{"Block node is read-only", ErrorKind::kReadOnly},
                    Refusal{"Parameter 'auto-finalize' is unexpected", ErrorKind::kUnsupported},
                    Refusal{"something new", ErrorKind::kQemuError}));

TEST_F(StartStreamTest, ForeignJobsHaveNoPlanAndOursDo) {
  GuestView view;
  view.graph = BlockGraph::of_devices(
      qmp::Json::parse(qemu_.execute("query-block", {}).value()).value(), qmp::Json());
  qmp::BlockJob job;
  job.id = id_;
  job.type = "stream";
  const auto ours = plan_of_job(view, job);
  ASSERT_TRUE(ours);
  EXPECT_EQ(ours->node, "top");
  EXPECT_EQ(ours->disk_name, "vda");
  EXPECT_EQ(ours->depth, 3U);
  job.type = "commit";
  EXPECT_FALSE(plan_of_job(view, job));
  job.type = "stream";
  for (const std::string& id : {std::string("vda"), job_id_for("vda", "gone"), std::string()}) {
    job.id = id;
    EXPECT_FALSE(plan_of_job(view, job)) << id;
  }
}

class FlushTest : public StartStreamTest {
 protected:
  Result<void> flushed(Failing how = Failing::kNothing) {
    std::optional<Result<void>> told;
    flush_node(monitor_, "top", JobPhase::kHasEnded,
               [&told](Result<void> result) { told = std::move(result); });
    run_to("flush");
    monitor_->step(how);
    while (monitor_->step()) {
    }
    EXPECT_TRUE(told);
    return told.value_or(Result<void>());
  }
};

TEST_F(FlushTest, ReopensAFilterAndRemovesIt) {
  for (const bool was_left : {false, true}) {
    qemu_.has_filter = was_left;
    qemu_.header_durable = false;
    EXPECT_TRUE(flushed().ok());
    EXPECT_TRUE(qemu_.header_durable);
    EXPECT_FALSE(qemu_.has_filter);
  }
  qemu_.flush_fault = "Error flushing drive: No space left on device";
  const auto failed = flushed();
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().kind, ErrorKind::kIo);
  EXPECT_NE(failed.error().message.find("Error flushing drive"), std::string::npos);
  EXPECT_FALSE(qemu_.has_filter);
  EXPECT_EQ(qemu_.count("human-monitor-command"), 0U);
}

TEST_F(FlushTest, WithoutReopenSucceedsOnlyWhenQemuPrintsNothing) {
  qemu_.can_reopen = false;
  qemu_.header_durable = false;
  EXPECT_TRUE(flushed().ok());
  EXPECT_TRUE(qemu_.header_durable);
  qemu_.flush_fault = "qemu-io: No space left";
  const auto failed = flushed();
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().kind, ErrorKind::kIo);
  EXPECT_NE(failed.error().message.find("qemu-io: No space left"), std::string::npos);
}

TEST_F(FlushTest, SaysWhatBecameOfTheMonitor) {
  EXPECT_EQ(flushed(Failing::kLate).error().kind, ErrorKind::kMonitorTimeout);
  EXPECT_EQ(flushed(Failing::kLostBefore).error().kind, ErrorKind::kMonitorLost);
  monitor_->end_qemu();
  EXPECT_EQ(flushed().error().kind, ErrorKind::kMonitorLost);
}

}  // namespace
}  // namespace blockpull::driver
