// SPDX-License-Identifier: Apache-2.0
//
// From a disk's name to a job that QEMU runs, the conflicts on the way, and the flush.

#include "driver/qemu/start_stream.h"

#include <gtest/gtest.h>

#include "driver/qemu/fake_monitor.h"
#include "driver/qemu/flush.h"
#include "driver/qemu/job_id.h"
#include "driver/qemu/orphaned_job.h"
#include "faults/inline_host.h"

namespace blockpull::driver::qemu {
namespace {

class StartStreamTest : public testing::Test {
 protected:
  StartStreamTest() : arena_(io::BufferArena::create(io::BufferArena::kBlock).value()) {}

  void ask(bool is_followed = false) {
    options_.disk.path = "/vms/top.qcow2";
    options_.disk.name = "vda";
    start_stream(
        host_, monitor_, options_,
        [is_followed](const std::string&) {
          return TrackedJob{is_followed, nullptr};
        },
        [this](Result<StartedStream> stream) { told_.push_back(std::move(stream)); });
  }

  /// Runs until the monitor is about to do `command`.
  void run_to(const std::string& command) {
    while (monitor_->next() != command && step()) {
    }
  }

  /// Does one thing, of the monitor first, then of the host.
  bool step() { return monitor_->step() || host_->step(); }

  const Result<StartedStream>& run() {
    while (step()) {
    }
    EXPECT_EQ(told_.size(), 1U);
    return told_.at(0);
  }

  /// Files of the layers that drop out.
  static std::vector<std::string> dropped(const StreamPlan& plan) {
    std::vector<std::string> files;
    for (std::size_t i = 1; i < plan.base_index; ++i) {
      files.push_back(plan.layers[i].filename);
    }
    return files;
  }

  const std::string id_ = job_id_for(job::Kind::kPull, "vda", "top");
  const std::unique_ptr<io::BufferArena> arena_;
  std::shared_ptr<faults::InlineHost> host_ = std::make_shared<faults::InlineHost>(*arena_, 0);
  FakeQemu qemu_;
  const std::shared_ptr<FakeMonitor> monitor_ = std::make_shared<FakeMonitor>(qemu_);
  GuestPullOptions options_;
  std::vector<Result<StartedStream>> told_;
};

TEST_F(StartStreamTest, AsksForAJobThatWaits) {
  options_.base = BaseChoice{"", 2};
  options_.bandwidth = 4096;
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
  EXPECT_FALSE(plan->plan.was_there);
  EXPECT_TRUE(plan->plan.has_run_state);
  EXPECT_EQ(plan->plan.state.status, "running");
  EXPECT_TRUE(qemu_.faults_of_client.empty());
}

TEST_F(StartStreamTest, AViewIsSafeForQemuAndQueriesImagesTwice) {
  qemu_.thread_id = 1;
  ask();
  run_to("block-stream");
  EXPECT_EQ(qemu_.executed,
            (std::vector<std::string>{
                "query-block", "query-blockstats", "x-debug-query-block-graph", "query-block-jobs",
                "query-migrate", "query-status", "query-cpus-fast", "query-block"}));
  run();
}

TEST_F(StartStreamTest, AChainThatShrinksBetweenAnswersIsQueriedAgain) {
  qemu_.below = {"snap", "mid", "base"};
  options_.base = BaseChoice{"/vms/base.qcow2", std::nullopt};
  ask();
  run_to("x-debug-query-block-graph");
  qemu_.below = {"mid", "base"};
  const auto& stream = run();
  ASSERT_TRUE(stream.ok()) << stream.error().message;
  EXPECT_EQ(stream->plan.layers.size(), 3U);
  EXPECT_EQ(dropped(stream->plan), std::vector<std::string>{"/vms/mid.qcow2"});
  EXPECT_EQ(qemu_.job->base_node, "base");
  EXPECT_EQ(qemu_.count("query-block"), 4U);
}

TEST_F(StartStreamTest, AnswersOfUnequalDepthAreAskedForAgain) {
  qemu_.below = {"snap", "mid", "base"};
  ask();
  run_to("query-blockstats");
  qemu_.below = {"mid", "base"};
  run_to("x-debug-query-block-graph");
  qemu_.below = {"snap", "mid", "base"};
  const auto& stream = run();
  ASSERT_TRUE(stream.ok()) << stream.error().message;
  EXPECT_EQ(stream->plan.layers.size(), 4U);
  EXPECT_EQ(qemu_.count("query-blockstats"), 2U);
}

TEST_F(StartStreamTest, AChainThatKeepsChangingIsRefused) {
  ask();
  for (std::size_t looks = 1; told_.empty(); ++looks) {
    run_to("x-debug-query-block-graph");
    qemu_.below.insert(qemu_.below.begin(), "snap");
    while (qemu_.count("query-block") < 2 * looks && step()) {
    }
    while (monitor_->next() != "query-blockstats" && step()) {
    }
  }
  EXPECT_EQ(run().error().kind, ErrorKind::kQemuError);
  EXPECT_EQ(qemu_.count("query-block"), 8U);
  EXPECT_FALSE(qemu_.job);
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
  EXPECT_TRUE(stream->plan.was_there);
  EXPECT_EQ(qemu_.count("block-stream"), 0U);
  EXPECT_EQ(qemu_.count("block-job-set-speed"), 0U);
  ASSERT_TRUE(stream->plan.base);
  EXPECT_EQ(stream->plan.base->path, "/vms/base.qcow2");
  EXPECT_EQ(dropped(stream->plan), std::vector<std::string>{"/vms/mid.qcow2"});
}

TEST_F(StartStreamTest, TheEndOfAJobThatEndsAtOnceIsHeard) {
  qemu_.is_fast = true;
  ask();
  run_to("block-stream");
  monitor_->step();
  ASSERT_TRUE(qemu_.job);
  EXPECT_EQ(qemu_.job->status, "pending");
  qemu_.conclude(std::nullopt);
  EXPECT_TRUE(run().ok());
  ASSERT_TRUE(told_[0]->watch->end());
  EXPECT_FALSE(told_[0]->watch->end()->error);
}

TEST_F(StartStreamTest, AJobTrackedByThisProcessIsActive) {
  ask(true);
  EXPECT_EQ(run().error().kind, ErrorKind::kJobActive);
  EXPECT_FALSE(qemu_.job);
}

TEST_F(StartStreamTest, AFailedQueryIsReportedOnceAndLeavesNoJob) {
  for (const char* const command :
       {"query-block", "query-blockstats", "x-debug-query-block-graph", "query-block-jobs",
        "query-status", "query-migrate", "block-stream"}) {
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
       {"query-block", "query-blockstats", "x-debug-query-block-graph", "query-block-jobs",
        "query-status", "query-migrate", "block-stream"}) {
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
      host_, monitor, options_, [](const std::string&) { return TrackedJob(); },
      [this](Result<StartedStream> stream) { told_.push_back(std::move(stream)); });
  while (monitor->next() != "block-stream" && (monitor->step() || host_->step())) {
  }
  monitor->step(Failing::kLate);
  while (host_->step()) {
  }
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

TEST_F(StartStreamTest, WithoutItsHostItIsClosed) {
  for (const bool was_there : {true, false}) {
    told_.clear();
    ask();
    if (was_there) {
      run_to("query-block");
    }
    host_.reset();
    while (monitor_->step()) {
    }
    ASSERT_EQ(told_.size(), 1U) << was_there;
    EXPECT_EQ(told_[0].error().kind, ErrorKind::kClosed) << was_there;
    EXPECT_FALSE(qemu_.job);
  }
}

TEST_F(StartStreamTest, RemovesAnotherProcessesOrphanedFilter) {
  qemu_.has_filter = true;
  ask();
  EXPECT_TRUE(run().ok());
  // The graph does not show that the filter is ours.
  EXPECT_TRUE(qemu_.has_filter);
}

TEST_F(StartStreamTest, NothingStartsWhileTheGuestIsMigratedOrAway) {
  for (const char* const migration : {"setup", "active", "device", "of-the-future"}) {
    told_.clear();
    qemu_.migration = migration;
    ask();
    EXPECT_EQ(run().error().kind, ErrorKind::kGuestBusy) << migration;
  }
  qemu_.migration = "completed";
  for (const char* const state : {"inmigrate", "postmigrate", "finish-migrate", "of-the-future"}) {
    told_.clear();
    qemu_.run_state = state;
    ask();
    EXPECT_EQ(run().error().kind, ErrorKind::kGuestBusy) << state;
  }
  EXPECT_EQ(qemu_.count("block-stream"), 0U);
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
  const auto answer = [this](const char* name) {
    return qmp::Json::parse(qemu_.execute(name, {}).value()).value();
  };
  view.graph = BlockGraph::of_devices(answer("query-block"), answer("query-blockstats"),
                                      answer("x-debug-query-block-graph"))
                   .value();
  qmp::BlockJob job;
  job.id = id_;
  job.type = "stream";
  const auto ours = plan_of_job(view, job);
  ASSERT_TRUE(ours);
  EXPECT_EQ(ours->node, "top");
  EXPECT_EQ(ours->disk_name, "vda");
  EXPECT_EQ(ours->layers.size(), 3U);
  EXPECT_TRUE(ours->was_there);
  job.type = "commit";
  EXPECT_FALSE(plan_of_job(view, job));
  job.type = "stream";
  for (const std::string& id :
       {std::string("vda"), job_id_for(job::Kind::kPull, "vda", "gone"), std::string()}) {
    job.id = id;
    EXPECT_FALSE(plan_of_job(view, job)) << id;
  }
}

class FlushTest : public StartStreamTest {
 protected:
  Result<Flushed> flushed(Failing how = Failing::kNothing,
                          FlushTime time = FlushTime::kAfterJobEnded) {
    std::optional<Result<Flushed>> told;
    flush_node(monitor_, "top", time,
               [&told](Result<Flushed> result) { told = std::move(result); });
    run_to("flush");
    monitor_->step(how);
    while (monitor_->step()) {
    }
    EXPECT_TRUE(told);
    return told.value_or(Result<Flushed>(Flushed{}));
  }
};

TEST_F(FlushTest, ReopensAFilterAndRemovesIt) {
  for (const bool was_left : {false, true}) {
    qemu_.has_filter = was_left;
    qemu_.header_durable = false;
    const auto done = flushed();
    ASSERT_TRUE(done.ok());
    EXPECT_TRUE(done->is_certain);
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
  const auto done = flushed();
  ASSERT_TRUE(done.ok());
  EXPECT_FALSE(done->is_certain);
  EXPECT_TRUE(qemu_.header_durable);
  qemu_.flush_fault = "qemu-io: No space left";
  const auto failed = flushed();
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().kind, ErrorKind::kIo);
  EXPECT_NE(failed.error().message.find("qemu-io: No space left"), std::string::npos);
}

TEST_F(FlushTest, AReadOnlyNodeIsFlushedOnlyAfterTheJobHasEnded) {
  // QEMU makes it read-only during the job.
  qemu_.is_read_only = true;
  EXPECT_TRUE(flushed().ok());
  EXPECT_EQ(flushed(Failing::kNothing, FlushTime::kBeforeJobEnds).error().kind,
            ErrorKind::kGuestBusy);
  // It is read-only because the guest is elsewhere.
  qemu_.run_state = "postmigrate";
  for (const FlushTime time : {FlushTime::kBeforeJobEnds, FlushTime::kAfterJobEnded}) {
    EXPECT_EQ(flushed(Failing::kNothing, time).error().kind, ErrorKind::kGuestBusy);
  }
  EXPECT_EQ(qemu_.count("human-monitor-command"), 0U);
}

TEST_F(FlushTest, IsMadeIfTheGuestReturnsJustAfterTheRefusal) {
  qemu_.header_durable = false;
  qemu_.hand_over();
  std::optional<Result<Flushed>> told;
  flush_node(monitor_, "top", FlushTime::kAfterJobEnded,
             [&told](Result<Flushed> result) { told = std::move(result); });
  run_to("query-migrate");
  qemu_.come_back("completed");
  while (monitor_->step()) {
  }
  ASSERT_TRUE(told);
  EXPECT_TRUE(told->ok());
  EXPECT_TRUE(qemu_.header_durable);
  EXPECT_FALSE(qemu_.has_filter);
}

TEST_F(FlushTest, IsManualOnlyIfThereIsNoFilter) {
  struct Refused {
    const char* words;
    bool is_by_hand;
  };
  const std::vector<Refused> cases{{"Unknown driver 'blkdebug'", true},
                                   {"Parameter 'driver' does not accept value 'blkdebug'", true},
                                   {"Driver 'blkdebug' is not whitelisted", true},
                                   {"Node 'top' is busy", false},
                                   {"something new", false}};
  for (const Refused& refused : cases) {
    qemu_.executed.clear();
    qemu_.filter_fault = refused.words;
    const auto told = flushed();
    EXPECT_EQ(told.ok(), refused.is_by_hand) << refused.words;
    EXPECT_EQ(qemu_.count("human-monitor-command"), refused.is_by_hand ? 1U : 0U);
    if (!told.ok()) {
      EXPECT_EQ(told.error().kind, ErrorKind::kQemuError);
      EXPECT_NE(told.error().message.find(refused.words), std::string::npos);
    }
  }
}

TEST_F(FlushTest, SaysWhatBecameOfTheMonitor) {
  EXPECT_EQ(flushed(Failing::kLate).error().kind, ErrorKind::kMonitorTimeout);
  EXPECT_EQ(flushed(Failing::kLostBefore).error().kind, ErrorKind::kMonitorLost);
  monitor_->end_qemu();
  EXPECT_EQ(flushed().error().kind, ErrorKind::kMonitorLost);
}

}  // namespace
}  // namespace blockpull::driver::qemu
