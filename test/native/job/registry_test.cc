// SPDX-License-Identifier: Apache-2.0
//
// Who has a disk, when it is released, and that only one of many competing claims succeeds.

#include "job/registry.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/io/buffer_arena.h"
#include "faults/inline_host.h"
#include "job/job.h"

namespace blockpull::job {
namespace {

constexpr io::FileId kDisk{8, 100};
constexpr io::FileId kSameInodeElsewhere{9, 100};

/// Work that is never asked to do anything.
class IdleWork final : public Work {
 public:
  [[nodiscard]] std::uint64_t total() const override { return 0; }
  void start(Host&, Board&, std::function<void(Ending)>) override {}
  void stop(Stop) override {}
  void set_bandwidth(std::uint64_t) override {}
};

class RegistryTest : public testing::Test {
 protected:
  [[nodiscard]] bool is_free(io::FileId disk) const { return registry_->claim(disk, "a").ok(); }

  [[nodiscard]] Registry::Claim claim(io::FileId disk) const {
    auto claim = registry_->claim(disk, "a.qcow2");
    EXPECT_TRUE(claim.ok());
    return claim.ok() ? std::move(claim).value() : Registry::Claim();
  }

  const std::shared_ptr<Registry> registry_ = std::make_shared<Registry>();
};

TEST_F(RegistryTest, ADiskThatIsClaimedIsRefusedByItsName) {
  const Registry::Claim first = claim(kDisk);
  const auto second = registry_->claim(kDisk, "link-to-a.qcow2");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().kind, ErrorKind::kJobActive);
  EXPECT_EQ(second.error().path, "link-to-a.qcow2");
  EXPECT_NE(second.error().message.find("'link-to-a.qcow2'"), std::string::npos);
  const auto foretold = registry_->claim_refusal(kDisk, "link-to-a.qcow2");
  ASSERT_TRUE(foretold);
  EXPECT_EQ(foretold->message, second.error().message);
}

TEST_F(RegistryTest, NoRefusalIsPredictedForAFreeDisk) {
  EXPECT_EQ(registry_->claim_refusal(kDisk, "a"), std::nullopt);
  EXPECT_TRUE(is_free(kDisk));
}

TEST_F(RegistryTest, ARefusedClaimLeavesTheFirstInForce) {
  const Registry::Claim first = claim(kDisk);
  EXPECT_FALSE(is_free(kDisk));
  EXPECT_FALSE(is_free(kDisk));
}

TEST_F(RegistryTest, OtherDisksAreFree) {
  const Registry::Claim first = claim(kDisk);
  EXPECT_TRUE(is_free(kSameInodeElsewhere));
}

TEST_F(RegistryTest, ADiskIsReleasedWithItsClaim) {
  {
    const Registry::Claim first = claim(kDisk);
    ASSERT_FALSE(is_free(kDisk));
  }
  EXPECT_TRUE(is_free(kDisk));
}

TEST_F(RegistryTest, ReleasingTwiceKeepsTheNextOwnersClaim) {
  Registry::Claim first = claim(kDisk);
  first.release();
  const Registry::Claim second = claim(kDisk);
  first.release();
  EXPECT_FALSE(is_free(kDisk));
}

TEST_F(RegistryTest, AMovedClaimHoldsTheDiskAlone) {
  Registry::Claim second;
  {
    Registry::Claim first = claim(kDisk);
    second = std::move(first);
  }
  ASSERT_FALSE(is_free(kDisk));
  const Registry::Claim third(std::move(second));
  second.release();
  EXPECT_FALSE(is_free(kDisk));
}

TEST_F(RegistryTest, AnOverwrittenClaimReleasesItsDisk) {
  Registry::Claim one = claim(kDisk);
  one = claim(kSameInodeElsewhere);
  EXPECT_TRUE(is_free(kDisk));
  EXPECT_FALSE(is_free(kSameInodeElsewhere));
}

TEST_F(RegistryTest, AClaimKeepsItsRegistryAlive) {
  auto registry = std::make_shared<Registry>();
  Registry::Claim claim = registry->claim(kDisk, "a").value();
  const std::weak_ptr<Registry> watched = registry;
  registry.reset();
  EXPECT_FALSE(watched.expired());
  claim.release();
  EXPECT_TRUE(watched.expired());
}

TEST_F(RegistryTest, AJobIsFoundByItsDiskAsLongAsItIsThere) {
  auto arena = io::BufferArena::create(io::BufferArena::kBlock);
  ASSERT_TRUE(arena.ok());
  faults::InlineHost host(**arena, 0);
  EXPECT_EQ(registry_->find(kDisk), nullptr);
  {
    const Registry::Claim without_job = claim(kDisk);
    EXPECT_EQ(registry_->find(kDisk), nullptr);
  }
  auto job = Job::start(host, std::make_unique<IdleWork>(), claim(kDisk), {});
  EXPECT_EQ(registry_->find(kDisk), job);
  EXPECT_EQ(registry_->find(kSameInodeElsewhere), nullptr);
}

TEST_F(RegistryTest, AJobThatIsGoneIsNotFound) {
  auto claimed = claim(kDisk);
  claimed.set_job(std::weak_ptr<Job>());
  EXPECT_EQ(registry_->find(kDisk), nullptr);
  EXPECT_FALSE(is_free(kDisk));
}

TEST_F(RegistryTest, OneOfManyCompetingClaimsSucceeds) {
  std::atomic<int> owners{0};
  std::atomic<int> most{0};
  std::atomic<int> turns{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (turns.load() < 1000) {
        const auto mine = registry_->claim(kDisk, "a");
        if (!mine.ok()) {
          continue;
        }
        most = std::max(most.load(), ++owners);
        std::this_thread::yield();
        ++turns;
        --owners;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(most.load(), 1);
  EXPECT_TRUE(is_free(kDisk));
}

}  // namespace
}  // namespace blockpull::job
