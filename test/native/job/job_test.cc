// SPDX-License-Identifier: Apache-2.0
//
// The life of a job whose work does only what the test says, on a host that takes one step at a
// time: the order of its end, and which notifications are sent, when and to whom.

#include "job/job.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/io/buffer_arena.h"
#include "faults/inline_host.h"

namespace blockpull::job {
namespace {

constexpr io::FileId kDisk{8, 100};

/// The events in order; shared by the test, the work and the callbacks.
using Diary = std::vector<std::string>;

/// Records its calls, and leaves the rest to the test.
class DiaryWork final : public Work {
 public:
  explicit DiaryWork(Diary& diary) : diary_(diary) {}
  ~DiaryWork() override { diary_.emplace_back("closed"); }

  [[nodiscard]] Kind kind() const override { return Kind::kPull; }
  [[nodiscard]] std::uint64_t total() const override { return 2; }
  void start(Host&, ProgressCounters& counters, std::function<void(Ending)> finish) override {
    diary_.emplace_back("start");
    counters_ = &counters;
    finish_ = std::move(finish);
  }
  void stop(Stop how) override { diary_.emplace_back(how == Stop::kCancel ? "cancel" : "abandon"); }
  void set_bandwidth(std::uint64_t bytes_per_second) override {
    diary_.push_back("bandwidth " + std::to_string(bytes_per_second));
  }

  void try_bandwidth(std::uint64_t bytes_per_second,
                     std::function<void(Result<void>)> told) override {
    if (refuses_bandwidth_) {
      told(make_error(ErrorKind::kQemuError, "refused"));
    } else {
      Work::try_bandwidth(bytes_per_second, std::move(told));
    }
  }

  void finish(Ending ending) { finish_(std::move(ending)); }
  void refuse_bandwidth() { refuses_bandwidth_ = true; }
  [[nodiscard]] ProgressCounters& counters() { return *counters_; }

 private:
  Diary& diary_;
  ProgressCounters* counters_ = nullptr;
  bool refuses_bandwidth_ = false;
  std::function<void(Ending)> finish_;
};

class JobTest : public testing::Test {
 protected:
  JobTest() : arena_(io::BufferArena::create(io::BufferArena::kBlock).value()), host_(*arena_, 0) {}

  /// A running job holds itself, so it is brought to its end.
  ~JobTest() override {
    if (const auto job = job_.lock(); job != nullptr && !job->outcome()) {
      settle();
      work_->finish(failure(ErrorKind::kCancelled));
      run_to_end();
    }
  }

  std::shared_ptr<Job> start(std::uint64_t bandwidth = 0) {
    auto work = std::make_unique<DiaryWork>(diary_);
    work_ = work.get();
    JobOptions options;
    options.bandwidth = bandwidth;
    options.before_end = [this](Outcome& outcome) {
      diary_.emplace_back("before end");
      outcome.warnings.emplace_back("careful");
    };
    options.on_end = [this](const Outcome& outcome) {
      diary_.push_back(std::string("end ") + state_name(outcome.state));
      ended_.push_back(outcome);
    };
    auto job = Job::start(host_, std::move(work), registry_->claim(kDisk, "a").value(),
                          std::move(options));
    job_ = job;
    return job;
  }

  /// The job, once its work has started.
  std::shared_ptr<Job> started(std::uint64_t bandwidth = 0) {
    auto job = start(bandwidth);
    settle();
    diary_.clear();
    return job;
  }

  /// Runs everything that has been posted by now.
  void settle() {
    bool reached = false;
    host_.post([&reached] { reached = true; });
    while (!reached) {
      host_.step();
    }
  }

  void run_to_end() {
    while (host_.step()) {
    }
  }

  static Ending failure(ErrorKind kind) {
    return {.error = make_error(kind, "it went wrong"), .released = {}};
  }

  const std::unique_ptr<io::BufferArena> arena_;
  faults::InlineHost host_;
  const std::shared_ptr<Registry> registry_ = std::make_shared<Registry>();
  Diary diary_;
  DiaryWork* work_ = nullptr;
  /// The job of start().
  std::weak_ptr<Job> job_;
  std::vector<Outcome> ended_;
};

TEST_F(JobTest, WorkStartsOnTheHostWithItsBandwidthSet) {
  const auto job = start(5000);
  EXPECT_EQ(diary_, Diary{});
  settle();
  EXPECT_EQ(diary_, (Diary{"bandwidth 5000", "start"}));
  EXPECT_EQ(job->progress().state, State::kRunning);
  EXPECT_EQ(job->progress().bandwidth, 5000U);
  EXPECT_FALSE(job->outcome().has_value());
}

/// Lets another thread in right before the first call is posted.
class InterruptedHost final : public faults::InlineHost {
 public:
  InterruptedHost(io::BufferArena& buffers, std::function<void()> meddle)
      : InlineHost(buffers, 0), meddle_(std::move(meddle)) {}

  void post(std::function<void()> callback) override {
    if (const auto meddle = std::exchange(meddle_, nullptr)) {
      meddle();
    }
    InlineHost::post(std::move(callback));
  }

 private:
  std::function<void()> meddle_;
};

TEST_F(JobTest, WhatIsAskedBeforeTheWorkBeginsIsDoneAfterIt) {
  InterruptedHost host(*arena_, [this] {
    const auto found = registry_->find(kDisk);
    found->set_bandwidth(7);
    found->stop(Stop::kCancel);
  });
  auto work = std::make_unique<DiaryWork>(diary_);
  DiaryWork& is_asked = *work;
  const auto job = Job::start(host, std::move(work), registry_->claim(kDisk, "a").value(), {});
  while (diary_.size() < 4) {
    ASSERT_TRUE(host.step());
  }
  EXPECT_EQ(diary_, (Diary{"bandwidth 7", "start", "bandwidth 7", "cancel"}));
  is_asked.finish(failure(ErrorKind::kCancelled));
  while (host.step()) {
  }
  EXPECT_EQ(job->progress().state, State::kCancelled);
}

TEST_F(JobTest, FilesAndDiskAreReleasedBeforeTheEndIsReported) {
  const auto job = started();
  work_->finish({.error = {}, .released = {"middle.qcow2"}});
  EXPECT_EQ(job->progress().state, State::kRunning);
  ASSERT_FALSE(registry_->claim(kDisk, "a").ok());
  while (diary_.empty() || diary_.back() != "before end") {
    ASSERT_EQ(ended_.size(), 0U);
    ASSERT_TRUE(host_.step());
  }
  EXPECT_TRUE(registry_->claim(kDisk, "a").ok());
  run_to_end();
  EXPECT_EQ(diary_, (Diary{"closed", "before end", "end completed"}));
}

TEST_F(JobTest, ACompletedJobReportsMovedBytesAndReleasedFiles) {
  const auto job = started();
  work_->counters().moved = 12345;
  work_->counters().method = "inline";
  work_->finish({.error = {}, .released = {"middle.qcow2"}});
  run_to_end();
  const auto outcome = job->outcome();
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->state, State::kCompleted);
  EXPECT_FALSE(outcome->error.has_value());
  EXPECT_EQ(outcome->bytes_moved, 12345U);
  EXPECT_STREQ(outcome->method, "inline");
  EXPECT_EQ(outcome->released, std::vector<std::string>{"middle.qcow2"});
  EXPECT_EQ(outcome->warnings, std::vector<std::string>{"careful"});
}

TEST_F(JobTest, AnEndIsReportedOnceItIsJudged) {
  auto work = std::make_unique<DiaryWork>(diary_);
  work_ = work.get();
  std::function<void()> decide;
  JobOptions options;
  options.judge_end = [&decide](Outcome outcome, std::function<void(Outcome)> told) {
    decide = [outcome = std::move(outcome), told = std::move(told)]() mutable {
      outcome.released.clear();
      told(std::move(outcome));
    };
  };
  options.on_end = [this](const Outcome& outcome) { ended_.push_back(outcome); };
  const auto job =
      Job::start(host_, std::move(work), registry_->claim(kDisk, "a").value(), std::move(options));
  settle();
  work_->finish({.error = {}, .released = {"middle.qcow2"}});
  run_to_end();
  ASSERT_TRUE(decide);
  EXPECT_TRUE(ended_.empty());
  EXPECT_FALSE(job->outcome().has_value());
  decide();
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_EQ(ended_[0].state, State::kCompleted);
  EXPECT_EQ(ended_[0].released, std::vector<std::string>{});
  EXPECT_EQ(job->outcome()->released, std::vector<std::string>{});
}

TEST_F(JobTest, TheErrorDecidesBetweenFailedCancelledAndUnknown) {
  const struct {
    ErrorKind kind;
    State state;
  } rows[] = {{ErrorKind::kIo, State::kFailed},
              {ErrorKind::kNoSpace, State::kFailed},
              {ErrorKind::kClosed, State::kUnknown},
              {ErrorKind::kMonitorTimeout, State::kUnknown},
              {ErrorKind::kCancelled, State::kCancelled}};
  for (const auto& row : rows) {
    const auto job = started();
    work_->finish(failure(row.kind));
    run_to_end();
    ASSERT_TRUE(job->outcome().has_value());
    EXPECT_EQ(job->outcome()->state, row.state);
    EXPECT_EQ(job->progress().state, row.state);
    ASSERT_TRUE(job->outcome()->error.has_value());
    EXPECT_EQ(job->outcome()->error->kind, row.kind);
  }
}

TEST_F(JobTest, TheListenerIsCalledOnceWithTheOutcomeAvailable) {
  auto work = std::make_unique<DiaryWork>(diary_);
  work_ = work.get();
  std::shared_ptr<Job> job;
  JobOptions options;
  options.on_end = [&](const Outcome& outcome) {
    EXPECT_EQ(job->progress().state, outcome.state);
    ASSERT_TRUE(job->outcome().has_value());
    EXPECT_EQ(job->outcome()->state, outcome.state);
    diary_.emplace_back("end");
  };
  job =
      Job::start(host_, std::move(work), registry_->claim(kDisk, "a").value(), std::move(options));
  settle();
  diary_.clear();
  work_->finish({});
  run_to_end();
  EXPECT_EQ(diary_, (Diary{"closed", "end"}));
}

TEST_F(JobTest, WhenEndedCallsBackAfterTheListener) {
  const auto job = started();
  job->when_ended([this] { diary_.emplace_back("first"); });
  job->when_ended([this] { diary_.emplace_back("second"); });
  settle();
  EXPECT_EQ(diary_, Diary{});
  work_->finish({});
  run_to_end();
  EXPECT_EQ(diary_, (Diary{"closed", "before end", "end completed", "first", "second"}));
}

TEST_F(JobTest, WhenEndedCallsBackAtOnceAfterTheEnd) {
  const auto job = started();
  work_->finish({});
  run_to_end();
  bool told = false;
  job->when_ended([&told] { told = true; });
  EXPECT_TRUE(told);
}

TEST_F(JobTest, AStopIsPassedToTheWorkWhichEndsWhenItCan) {
  const auto job = started();
  job->stop(Stop::kCancel);
  EXPECT_EQ(job->progress().state, State::kAborting);
  settle();
  EXPECT_EQ(diary_, Diary{"cancel"});
  EXPECT_EQ(job->progress().state, State::kAborting);
  work_->finish(failure(ErrorKind::kCancelled));
  run_to_end();
  EXPECT_EQ(job->progress().state, State::kCancelled);
  EXPECT_EQ(ended_.size(), 1U);
}

TEST_F(JobTest, AStopBeforeTheStartIsDeliveredAfterIt) {
  const auto job = start();
  job->stop(Stop::kCancel);
  settle();
  EXPECT_EQ(diary_, (Diary{"bandwidth 0", "start", "cancel"}));
}

TEST_F(JobTest, ACancelCanBecomeAnAbandon) {
  const auto job = started();
  job->stop(Stop::kCancel);
  job->stop(Stop::kAbandon);
  settle();
  EXPECT_EQ(diary_, (Diary{"cancel", "abandon"}));
}

TEST_F(JobTest, AJobThatWasStoppedTooLateCompletes) {
  const auto job = started();
  job->stop(Stop::kCancel);
  work_->finish({});
  run_to_end();
  EXPECT_EQ(diary_, (Diary{"closed", "before end", "end completed"}));
  EXPECT_EQ(job->progress().state, State::kCompleted);
}

TEST_F(JobTest, CallsDuringTheEndReachNoWorkAndChangeNoOutcome) {
  for (int at = 0; at < 6; ++at) {
    const auto job = started();
    work_->finish({});
    for (int step = 0; step < at; ++step) {
      host_.step();
    }
    job->stop(Stop::kCancel);
    job->set_bandwidth(1000);
    run_to_end();
    EXPECT_EQ(diary_, (Diary{"closed", "before end", "end completed"})) << at;
    EXPECT_EQ(job->progress().state, State::kCompleted) << at;
  }
}

TEST_F(JobTest, ANewBandwidthIsShownAtOnceAndReachesTheWork) {
  const auto job = started(1000);
  job->set_bandwidth(0);
  EXPECT_EQ(job->progress().bandwidth, 0U);
  job->set_bandwidth(7000);
  EXPECT_EQ(job->progress().bandwidth, 7000U);
  settle();
  EXPECT_EQ(diary_, (Diary{"bandwidth 0", "bandwidth 7000"}));
}

TEST_F(JobTest, ABandwidthThatTheWorkRefusesIsNotShown) {
  const auto job = started(1000);
  work_->refuse_bandwidth();
  Result<void> told;
  const auto hear = [&told](Result<void> result) { told = std::move(result); };
  job->try_bandwidth(7000, hear);
  settle();
  EXPECT_EQ(told.error().kind, ErrorKind::kQemuError);
  EXPECT_EQ(job->progress().bandwidth, 1000U);
}

TEST_F(JobTest, TryBandwidthReportsSuccessOrAnEndedJob) {
  const auto job = started(1000);
  std::vector<bool> told;
  const auto hear = [&told](const Result<void>& result) { told.push_back(result.ok()); };
  job->try_bandwidth(7000, hear);
  settle();
  EXPECT_EQ(job->progress().bandwidth, 7000U);
  work_->finish({});
  run_to_end();
  job->try_bandwidth(8000, hear);
  settle();
  EXPECT_EQ(told, (std::vector<bool>{true, false}));
  EXPECT_EQ(job->progress().bandwidth, 7000U);
}

TEST_F(JobTest, ProgressShowsTheWorksCounters) {
  const auto job = started();
  ProgressCounters& counters = work_->counters();
  counters.settled = 1;
  counters.moved = 3;
  counters.to_move = 4;
  counters.method = "inline";
  const Progress progress = job->progress();
  EXPECT_EQ(progress.settled, 1U);
  EXPECT_EQ(progress.total, 2U);
  EXPECT_EQ(progress.moved, 3U);
  EXPECT_EQ(progress.to_move, 4U);
  EXPECT_STREQ(progress.method, "inline");
}

TEST_F(JobTest, TheRateIsThatOfTheLastHalfSecond) {
  const auto job = started();
  const Nanoseconds begin = host_.clock().now();
  for (const std::uint64_t bytes : {1000U, 5000U, 0U}) {
    work_->counters().moved += bytes;
    host_.step();
    EXPECT_EQ(job->progress().bytes_per_second, 2 * bytes);
  }
  EXPECT_EQ(host_.clock().now() - begin, Nanoseconds(1'500'000'000));
}

TEST_F(JobTest, TheDurationIsFromStartToEnd) {
  const auto job = started();
  host_.step();
  host_.step();
  host_.step();
  work_->finish({});
  run_to_end();
  EXPECT_DOUBLE_EQ(job->outcome()->seconds, 1.5);
}

TEST_F(JobTest, NothingIsLeftWaitingAfterTheEnd) {
  const auto job = started();
  work_->finish({});
  run_to_end();
  EXPECT_EQ(host_.outstanding(), 0U);
  job->stop(Stop::kCancel);
  EXPECT_EQ(host_.outstanding(), 0U);
}

TEST_F(JobTest, AJobThatNobodyHoldsRunsToItsEndAndIsDestroyed) {
  std::weak_ptr<Job> watched = started();
  settle();
  ASSERT_FALSE(watched.expired());
  work_->finish({});
  run_to_end();
  EXPECT_EQ(ended_.size(), 1U);
  EXPECT_TRUE(watched.expired());
}

TEST_F(JobTest, TheListenerIsDestroyedAtTheEnd) {
  auto held = std::make_shared<int>(0);
  auto work = std::make_unique<DiaryWork>(diary_);
  work_ = work.get();
  JobOptions options;
  options.before_end = [held](Outcome&) {};
  options.on_end = [held](const Outcome&) {};
  const auto job =
      Job::start(host_, std::move(work), registry_->claim(kDisk, "a").value(), std::move(options));
  settle();
  ASSERT_EQ(held.use_count(), 3);
  work_->finish({});
  run_to_end();
  EXPECT_EQ(held.use_count(), 1);
}

TEST(JobState, EveryOneHasANameAndThreeAreEnds) {
  const struct {
    State state;
    const char* name;
    bool ended;
  } rows[] = {{State::kRunning, "running", false},
              {State::kAborting, "aborting", false},
              {State::kCompleted, "completed", true},
              {State::kFailed, "failed", true},
              {State::kCancelled, "cancelled", true}};
  for (const auto& row : rows) {
    EXPECT_STREQ(state_name(row.state), row.name);
    EXPECT_EQ(has_ended(row.state), row.ended) << row.name;
  }
}

}  // namespace
}  // namespace blockpull::job
