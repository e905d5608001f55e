// SPDX-License-Identifier: Apache-2.0
//
// When an owner of jobs is idle, and who is told of it.

#include "virt/live_jobs.h"

#include <gtest/gtest.h>

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

TEST_F(LiveJobsTest, NothingIsReservedAfterClose) {
  jobs_->close(job::Stop::kCancel);
  EXPECT_FALSE(jobs_->reserve({}));
}

TEST_F(LiveJobsTest, WhoAsksAnIdleOneIsToldAtOnce) {
  ask();
  EXPECT_EQ(told_, 1);
}

TEST_F(LiveJobsTest, EverybodyIsToldOnceWhenTheLastPlaceIsGivenUp) {
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

}  // namespace
}  // namespace blockpull::virt
