// SPDX-License-Identifier: Apache-2.0
//
// A pull that finds a job of ours that this process tracks and that nobody has asked for.

#include <gtest/gtest.h>

#include "driver/qemu/fake_monitor.h"
#include "driver/qemu/job_id.h"
#include "driver/qemu/start_stream.h"
#include "faults/inline_host.h"

namespace blockpull::driver::qemu {
namespace {

/// Ends when the test says so.
class WaitingWork final : public job::Work {
 public:
  explicit WaitingWork(std::function<void(job::Ending)>& finish) : finish_(finish) {}
  [[nodiscard]] job::Kind kind() const override { return job::Kind::kPull; }
  [[nodiscard]] std::uint64_t total() const override { return 0; }
  void start(job::Host&, job::ProgressCounters&, std::function<void(job::Ending)> finish) override {
    finish_ = std::move(finish);
  }
  void stop(job::Stop) override {}
  void set_bandwidth(std::uint64_t) override {}

 private:
  std::function<void(job::Ending)>& finish_;
};

class JoinTest : public testing::Test {
 protected:
  JoinTest()
      : arena_(io::BufferArena::create(io::BufferArena::kBlock).value()),
        host_(std::make_shared<faults::InlineHost>(*arena_, 0)) {
    tracked_job_ = job::Job::start(*host_, std::make_unique<WaitingWork>(finish_),
                                   registry_->claim_in_guest("/m", "id").value(), {});
    settle();
    qemu_.job = FakeQemu::Job{};
    qemu_.job->id = job_id_for(job::Kind::kPull, "vda", "top");
  }

  ~JoinTest() override {
    if (!tracked_job_->outcome()) {
      end_tracked_job();
    }
  }

  void settle() {
    bool is_reached = false;
    host_->post([&is_reached] { is_reached = true; });
    while (!is_reached) {
      host_->step();
    }
  }

  void end_tracked_job() {
    finish_({});
    while (!tracked_job_->outcome()) {
      host_->step();
    }
    settle();
  }

  void ask() {
    options_.disk.path = "/vms/top.qcow2";
    options_.disk.name = "vda";
    start_stream(
        host_, monitor_, options_,
        [this](const std::string&) {
          const bool is_there = !tracked_job_->outcome();
          return TrackedJob{is_there, is_there ? tracked_job_ : nullptr};
        },
        [this](Result<StartedStream> stream) { told_.push_back(std::move(stream)); });
    run();
  }

  /// Long enough for everything that follows; the tracker's timers never end.
  void run() {
    for (int turns = 0; turns < 300; ++turns) {
      if (!monitor_->step()) {
        host_->step();
      }
    }
  }

  std::function<void(job::Ending)> finish_;
  const std::unique_ptr<io::BufferArena> arena_;
  const std::shared_ptr<faults::InlineHost> host_;
  const std::shared_ptr<job::Registry> registry_ = std::make_shared<job::Registry>();
  std::shared_ptr<job::Job> tracked_job_;
  FakeQemu qemu_;
  const std::shared_ptr<FakeMonitor> monitor_ = std::make_shared<FakeMonitor>(qemu_);
  GuestPullOptions options_;
  std::vector<Result<StartedStream>> told_;
};

TEST_F(JoinTest, ReturnsTheTrackingJobWithoutACommandToQemu) {
  ask();
  ASSERT_EQ(told_.size(), 1U);
  ASSERT_TRUE(told_[0].ok());
  EXPECT_EQ(told_[0]->tracked_job, tracked_job_);
  for (const char* const change : {"block-stream", "block-job-set-speed", "block-job-resume"}) {
    EXPECT_EQ(qemu_.count(change), 0U) << change;
  }
}

TEST_F(JoinTest, AJobWithAnotherBaseIsNotJoined) {
  options_.base = BaseChoice{"", 2};
  ask();
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_EQ(told_[0].error().kind, ErrorKind::kJobActive);
}

TEST_F(JoinTest, WaitsForAFinishedJobAndThenStartsThePull) {
  qemu_.job.reset();
  ask();
  EXPECT_TRUE(told_.empty());
  EXPECT_EQ(qemu_.count("block-stream"), 0U);
  end_tracked_job();
  run();
  ASSERT_EQ(told_.size(), 1U);
  ASSERT_TRUE(told_[0].ok());
  EXPECT_EQ(told_[0]->tracked_job, nullptr);
  EXPECT_EQ(qemu_.count("block-stream"), 1U);
}

}  // namespace
}  // namespace blockpull::driver::qemu
