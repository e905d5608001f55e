// SPDX-License-Identifier: Apache-2.0
//
// When an owner of jobs is idle, and who is notified.

#include "virt/session/live_jobs.h"

#include <cstdio>
#include <functional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "virt/calls/images.h"

namespace blockpull::virt {
namespace {

class LiveJobsTest : public testing::Test {
 protected:
  void ask() {
    jobs_->when_idle([this] { ++told_; });
  }

  const std::shared_ptr<LiveJobs> jobs_ = std::make_shared<LiveJobs>();
  int told_ = 0;
};

/// Calls back when its files and locks are released.
class Watched final : public driver::PreparedPull {
 public:
  explicit Watched(std::function<void()> gone) : gone_(std::move(gone)) {}
  ~Watched() override { gone_(); }

  [[nodiscard]] std::vector<driver::ChainFile> files() const override { return {}; }

  std::shared_ptr<job::Job> start(job::Engine& /*engine*/, job::JobOptions /*options*/) override {
    ADD_FAILURE() << "a pull was started after close()";
    return nullptr;
  }

 private:
  const std::function<void()> gone_;
};

TEST_F(LiveJobsTest, NothingIsReservedAfterClose) {
  jobs_->close(job::Stop::kCancel);
  EXPECT_FALSE(jobs_->reserve({}));
}

TEST_F(LiveJobsTest, WhenIdleCallsBackAtOnceIfIdle) {
  ask();
  EXPECT_EQ(told_, 1);
}

TEST_F(LiveJobsTest, AllWaitersAreNotifiedOnceWhenTheLastPlaceGoes) {
  auto first = jobs_->reserve({});
  auto second = jobs_->reserve({});
  ask();
  ask();
  jobs_->close(job::Stop::kCancel);
  first.reset();
  EXPECT_EQ(told_, 0);
  second.reset();
  EXPECT_EQ(told_, 2);
  EXPECT_TRUE(jobs_->is_idle());
}

TEST_F(LiveJobsTest, ARefusedPullIsDestroyedBeforeIdleIsReported) {
  const auto engine = job::Engine::shared().value();
  auto place = jobs_->reserve({});
  ask();
  jobs_->close(job::Stop::kCancel);
  int told_before = -1;
  auto pull = std::make_unique<Watched>([this, &told_before] { told_before = told_; });
  EXPECT_EQ(jobs_->start(*std::move(place), *engine, std::move(pull), {}), nullptr);
  EXPECT_EQ(told_before, 0);
  EXPECT_EQ(told_, 1);
}

TEST_F(LiveJobsTest, AListenerForTheEndFindsNoJob) {
  const auto engine = job::Engine::shared().value();
  const std::string path = testing::TempDir() + "blockpull-live-jobs.qcow2";
  static_cast<void>(std::remove(path.c_str()));
  CreateRequest create;
  create.path = path;
  create.size = 1U << 20U;
  create.cluster_size = 1U << 16U;
  create.version = 3;
  ASSERT_TRUE(create_image(create).ok());
  bool is_found = true;
  ImagePullRequest pull;
  pull.image.path = path;
  const auto job = pull_image(*engine, *jobs_, pull, [this, &is_found](const job::Outcome&) {
    is_found = jobs_->find("", "").has_value();
  });
  EXPECT_TRUE(job.ok());
  jobs_->wait_until_idle();
  EXPECT_FALSE(is_found);
  EXPECT_EQ(std::remove(path.c_str()), 0);
}

}  // namespace
}  // namespace blockpull::virt
