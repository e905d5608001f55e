// SPDX-License-Identifier: Apache-2.0
//
// Who gets a buffer, and when: in order of arrival, never before its turn, and never a byte that
// somebody else has.

#include "core/io/buffer_arena.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/checked.h"
#include "files/test_seed.h"

namespace blockpull::io {
namespace {

constexpr std::size_t kBlock = BufferArena::kBlock;

class BufferArenaTest : public testing::Test {
 protected:
  static constexpr std::size_t kBlocks = 8;

  [[nodiscard]] std::byte* take(std::size_t blocks) { return arena_->try_take(blocks * kBlock); }

  std::uint64_t wait_for(std::size_t blocks, int who) {
    return arena_->wait_for(blocks * kBlock, [this, who](std::byte* buffer) {
      served_.push_back(who);
      buffers_.push_back(buffer);
    });
  }

  const std::unique_ptr<BufferArena> arena_ = BufferArena::create(kBlocks * kBlock).value();
  std::vector<int> served_;
  std::vector<std::byte*> buffers_;
};

using BufferArenaDeathTest = BufferArenaTest;

TEST_F(BufferArenaDeathTest, ABufferGivenBackTwiceEndsTheProcess) {
  std::byte* const buffer = take(1);
  arena_->give_back(buffer);
  EXPECT_DEATH(arena_->give_back(buffer), "");
}

TEST_F(BufferArenaTest, BuffersBeginAtPagesAndAllOfThemCanBeTaken) {
  for (std::size_t i = 0; i < kBlocks; ++i) {
    std::byte* const buffer = take(1);
    ASSERT_NE(buffer, nullptr);
    EXPECT_TRUE(is_aligned(reinterpret_cast<std::uintptr_t>(buffer), 4096));
    std::fill_n(buffer, kBlock, static_cast<std::byte>(i + 1));
    buffers_.push_back(buffer);
  }
  EXPECT_EQ(take(1), nullptr);
  for (std::size_t i = 0; i < kBlocks; ++i) {
    EXPECT_EQ(std::count(buffers_[i], buffers_[i] + kBlock, static_cast<std::byte>(i + 1)),
              static_cast<std::ptrdiff_t>(kBlock));
  }
}

TEST_F(BufferArenaTest, OneByteTakesABlockAndOneMoreThanABlockTakesTwo) {
  for (std::size_t i = 0; i < kBlocks - 2; ++i) {
    ASSERT_NE(arena_->try_take(1), nullptr);
  }
  EXPECT_NE(arena_->try_take(kBlock + 1), nullptr);
  EXPECT_EQ(arena_->try_take(1), nullptr);
}

TEST_F(BufferArenaTest, FragmentedSpaceIsNotOneRun) {
  std::vector<std::byte*> all;
  for (std::size_t i = 0; i < kBlocks; ++i) {
    all.push_back(take(1));
  }
  arena_->give_back(all[1]);
  arena_->give_back(all[3]);
  arena_->give_back(all[4]);
  EXPECT_EQ(take(3), nullptr);
  EXPECT_EQ(take(2), all[3]);
  EXPECT_EQ(take(1), all[1]);
}

TEST_F(BufferArenaTest, TheWholeArenaCanBeOneBuffer) {
  std::byte* const whole = take(kBlocks);
  ASSERT_NE(whole, nullptr);
  EXPECT_EQ(take(1), nullptr);
  arena_->give_back(whole);
  EXPECT_EQ(take(kBlocks), whole);
}

TEST_F(BufferArenaTest, WaitersAreServedInOrder) {
  std::byte* const whole = take(kBlocks);
  for (int who = 0; who < 4; ++who) {
    wait_for(3, who);
  }
  EXPECT_TRUE(served_.empty());
  arena_->give_back(whole);
  EXPECT_EQ(served_, (std::vector<int>{0, 1}));
  arena_->give_back(buffers_[1]);
  EXPECT_EQ(served_, (std::vector<int>{0, 1, 2}));
  arena_->give_back(buffers_[0]);
  EXPECT_EQ(served_, (std::vector<int>{0, 1, 2, 3}));
}

TEST_F(BufferArenaTest, NobodyOvertakesAWaitingLargeRequest) {
  std::byte* const first = take(4);
  std::byte* const second = take(2);
  wait_for(kBlocks, 0);
  wait_for(1, 1);
  EXPECT_EQ(take(1), nullptr) << "there is room, and somebody who asked before";
  arena_->give_back(second);
  EXPECT_TRUE(served_.empty());
  arena_->give_back(first);
  ASSERT_EQ(served_, std::vector<int>{0});
  arena_->give_back(buffers_[0]);
  EXPECT_EQ(served_, (std::vector<int>{0, 1}));
}

TEST_F(BufferArenaTest, ALargeRequestIsServedDespiteMoreSmallOnes) {
  std::vector<std::byte*> small;
  for (std::size_t i = 0; i < kBlocks; ++i) {
    small.push_back(take(1));
  }
  wait_for(kBlocks, -1);
  for (int i = 0; i < static_cast<int>(kBlocks); ++i) {
    ASSERT_TRUE(served_.empty());
    arena_->give_back(small[static_cast<std::size_t>(i)]);
    wait_for(1, i);
  }
  EXPECT_EQ(served_, std::vector<int>{-1});
}

TEST_F(BufferArenaTest, ACancelledWaiterUnblocksThoseBehindIt) {
  std::byte* const most = take(kBlocks - 1);
  const std::uint64_t large = wait_for(2, 0);
  const std::uint64_t small = wait_for(1, 1);
  EXPECT_TRUE(served_.empty());
  arena_->cancel(large);
  EXPECT_EQ(served_, std::vector<int>{1});
  arena_->cancel(large);
  arena_->cancel(small);
  arena_->give_back(most);
  EXPECT_EQ(served_, std::vector<int>{1});
  EXPECT_NE(take(kBlocks - 1), nullptr);
}

TEST_F(BufferArenaTest, AServedWaiterMayTakeAndGiveBackInTheCall) {
  std::byte* const whole = take(kBlocks);
  int rounds = 0;
  const BufferArena::Granted again = [&](std::byte* buffer) {
    served_.push_back(7);
    if (++rounds < 5) {
      arena_->wait_for(kBlock, again);
    }
    arena_->give_back(buffer);
  };
  arena_->wait_for(kBlock, again);
  wait_for(1, 8);
  arena_->give_back(whole);
  EXPECT_EQ(served_, (std::vector<int>{7, 8, 7, 7, 7, 7}));
  EXPECT_NE(take(kBlocks - 1), nullptr);
}

/// Callers that take, wait, cancel and give back at random, and the invariants.
class Crowd {
 public:
  explicit Crowd(std::uint64_t seed) : random_(seed) {}

  void act() {
    const std::size_t blocks = random_() % 5 + 1;
    switch (random_() % 5) {
      case 0:
        if (std::byte* const buffer = arena_->try_take(blocks * kBlock)) {
          EXPECT_TRUE(waiting_.empty()) << "overtaken";
          hold(buffer, blocks);
        }
        break;
      case 1:
        ask(blocks);
        break;
      case 2:
        cancel();
        break;
      default:
        give_back();
    }
  }

  /// Gives everything back, so that all waiting callers are served.
  void end() {
    while (!held_.empty()) {
      give_back();
    }
    EXPECT_TRUE(waiting_.empty());
    EXPECT_NE(arena_->try_take(kBlocks * kBlock), nullptr) << "something was not given back";
  }

 private:
  static constexpr std::size_t kBlocks = 16;

  void ask(std::size_t blocks) {
    // Callers try before they wait, as the mover does.
    if (std::byte* const buffer = arena_->try_take(blocks * kBlock)) {
      hold(buffer, blocks);
      return;
    }
    const int who = ++last_;
    const std::uint64_t ticket =
        arena_->wait_for(blocks * kBlock, [this, who, blocks](std::byte* buffer) {
          ASSERT_FALSE(waiting_.empty());
          EXPECT_EQ(waiting_.begin()->first, who) << "not the first in line";
          waiting_.erase(who);
          hold(buffer, blocks);
        });
    waiting_[who] = ticket;
  }

  void cancel() {
    if (!waiting_.empty()) {
      const auto one =
          std::next(waiting_.begin(), static_cast<std::ptrdiff_t>(random_() % waiting_.size()));
      const std::uint64_t ticket = one->second;
      waiting_.erase(one);
      arena_->cancel(ticket);
    }
  }

  void give_back() {
    if (!held_.empty()) {
      const auto one =
          std::next(held_.begin(), static_cast<std::ptrdiff_t>(random_() % held_.size()));
      std::byte* const buffer = one->first;
      held_.erase(one);
      arena_->give_back(buffer);
    }
  }

  void hold(std::byte* buffer, std::size_t blocks) {
    for (const auto& [other, length] : held_) {
      const bool apart = buffer + blocks * kBlock <= other || other + length * kBlock <= buffer;
      EXPECT_TRUE(apart) << "two have the same bytes";
    }
    held_[buffer] = blocks;
  }

  const std::unique_ptr<BufferArena> arena_ = BufferArena::create(kBlocks * kBlock).value();
  std::mt19937_64 random_;
  std::map<int, std::uint64_t> waiting_;
  std::map<std::byte*, std::size_t> held_;
  int last_ = 0;
};

TEST(BufferArenaCrowd, IsServedInOrderAndNeverShares) {
  Crowd crowd(test_seed());
  for (int i = 0; i < 20000; ++i) {
    crowd.act();
  }
  crowd.end();
}

}  // namespace
}  // namespace blockpull::io
