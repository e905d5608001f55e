// SPDX-License-Identifier: Apache-2.0
//
// Which tasks run, in which order, how many at once, and what the destructor waits for.

#include "core/io/blocking_pool.h"

#include <atomic>
#include <future>
#include <memory>
#include <numeric>

#include <gtest/gtest.h>

namespace blockpull::io {
namespace {

TEST(BlockingPool, OneThreadRunsTasksInTheOrderInWhichTheyWereGiven) {
  std::vector<int> ran;
  {
    const auto pool = BlockingPool::create(1).value();
    for (int i = 0; i < 1000; ++i) {
      pool->run([&ran, i] { ran.push_back(i); });
    }
  }
  std::vector<int> all(1000);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(ran, all);
}

TEST(BlockingPool, AsManyTasksRunAtOnceAsItHasThreads) {
  constexpr int kThreads = 4;
  std::atomic<int> inside{0};
  const auto pool = BlockingPool::create(kThreads).value();
  for (int i = 0; i < kThreads; ++i) {
    pool->run([&inside] {
      ++inside;
      while (inside.load() < kThreads) {
        std::this_thread::yield();
      }
    });
  }
}

TEST(BlockingPool, NoMoreTasksRunAtOnceThanItHasThreads) {
  constexpr int kThreads = 2;
  std::atomic<int> inside{0};
  std::atomic<int> too_many{0};
  {
    const auto pool = BlockingPool::create(kThreads).value();
    for (int i = 0; i < 200; ++i) {
      pool->run([&] {
        too_many += ++inside > kThreads ? 1 : 0;
        std::this_thread::yield();
        --inside;
      });
    }
  }
  EXPECT_EQ(too_many.load(), 0);
}

TEST(BlockingPool, TheDestructorRunsAndAwaitsQueuedTasks) {
  std::atomic<int> ran{0};
  std::promise<void> busy;
  {
    const auto pool = BlockingPool::create(2).value();
    for (int i = 0; i < 2; ++i) {
      pool->run([&, i] {
        if (i == 0) {
          busy.set_value();
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        ++ran;
      });
    }
    for (int i = 0; i < 100; ++i) {
      pool->run([&ran] { ++ran; });
    }
    busy.get_future().wait();
  }
  EXPECT_EQ(ran.load(), 102);
}

TEST(BlockingPool, ATaskMayAddAnother) {
  std::promise<void> ended;
  const auto pool = BlockingPool::create(1).value();
  pool->run([&] { pool->run([&] { pool->run([&] { ended.set_value(); }); }); });
  ended.get_future().wait();
}

TEST(BlockingPool, TasksFromManyThreadsAllRunOnceAndOnNoneOfThem) {
  std::atomic<int> ran{0};
  std::atomic<int> elsewhere{0};
  {
    const auto pool = BlockingPool::create(2).value();
    std::vector<std::thread> givers;
    for (int giver = 0; giver < 4; ++giver) {
      givers.emplace_back([&] {
        for (int i = 0; i < 500; ++i) {
          pool->run([&, giver_id = std::this_thread::get_id()] {
            ++ran;
            elsewhere += std::this_thread::get_id() != giver_id ? 1 : 0;
          });
        }
      });
    }
    for (std::thread& giver : givers) {
      giver.join();
    }
  }
  EXPECT_EQ(ran.load(), 2000);
  EXPECT_EQ(elsewhere.load(), 2000);
}

TEST(BlockingPool, ADestructorOfATaskMayAddATask) {
  std::promise<void> ended;
  const auto pool = BlockingPool::create(1).value();
  const auto give = [&](const int* pointer) {
    delete pointer;
    pool->run([&ended] { ended.set_value(); });
  };
  pool->run([held = std::shared_ptr<int>(new int(0), give)] {});
  ended.get_future().wait();
}

}  // namespace
}  // namespace blockpull::io
