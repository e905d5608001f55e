// SPDX-License-Identifier: Apache-2.0
//
// One thread for all monitors: whose calls it runs, in which order, and when it ends.

#include "core/net/reactor.h"

#include <array>
#include <atomic>
#include <string>
#include <thread>

#include <sys/epoll.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "core/base/inbox.h"

namespace blockpull::net {
namespace {

using std::chrono::milliseconds;

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    out = UniqueFd(ends[0]);
    in = UniqueFd(ends[1]);
  }
  void fill() const { EXPECT_EQ(::write(in.get(), "x", 1), 1); }

  UniqueFd out;
  UniqueFd in;
};

class ReactorTest : public testing::Test {
 protected:
  /// Runs `body` on the reactor's thread and waits for it.
  void on_reactor(std::function<void()> body) const {
    Inbox<bool> done;
    reactor_->post([&] {
      body();
      done.put(true);
    });
    ASSERT_TRUE(done.take());
  }

  std::shared_ptr<Reactor> reactor_ = Reactor::shared().value();
};

TEST_F(ReactorTest, SimultaneousUsersShareOneReactor) {
  EXPECT_EQ(Reactor::shared().value(), reactor_);
}

TEST_F(ReactorTest, RunsCallsOfEachThreadInOrder) {
  constexpr int kThreads = 8;
  constexpr int kCalls = 2000;
  std::array<int, kThreads> last{};
  std::atomic<int> wrong{0};
  std::atomic<int> left{kThreads * kCalls};
  Inbox<bool> done;
  std::vector<std::thread> threads;
  for (std::size_t mine = 0; mine < kThreads; ++mine) {
    threads.emplace_back([&, mine] {
      for (int call = 1; call <= kCalls; ++call) {
        reactor_->post([&, mine, call] {
          wrong += last[mine] == call - 1 ? 0 : 1;
          last[mine] = call;
          if (--left == 0) {
            done.put(true);
          }
        });
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_TRUE(done.take());
  EXPECT_EQ(wrong, 0);
}

TEST_F(ReactorTest, RunsTimersByTheirTimesAndNotTheCancelled) {
  Inbox<std::string> ran;
  on_reactor([&] {
    const Nanoseconds now = reactor_->clock().now();
    reactor_->call_at(now + milliseconds(30), [&ran] { ran.put("third"); });
    reactor_->call_at(now + milliseconds(10), [&ran] { ran.put("first"); });
    const auto ticket = reactor_->call_at(now + milliseconds(20), [&ran] { ran.put("second"); });
    reactor_->cancel_call(ticket);
  });
  EXPECT_EQ(ran.take(), "first");
  EXPECT_EQ(ran.take(), "third");
}

TEST_F(ReactorTest, AnUnwatchedDescriptorIsSilentInTheSameTurn) {
  const Pipe first;
  const Pipe second;
  std::atomic<int> told{0};
  Inbox<bool> done;
  first.fill();
  second.fill();
  on_reactor([&] {
    const auto ready = [&](std::uint32_t events) {
      EXPECT_NE(events & EPOLLIN, 0U);
      ++told;
      reactor_->unwatch(first.out.get());
      reactor_->unwatch(second.out.get());
      // One round later: the other callback would have been called by then.
      reactor_->post([&] { reactor_->post([&done] { done.put(true); }); });
    };
    ASSERT_TRUE(reactor_->watch(first.out.get(), EPOLLIN, ready).ok());
    ASSERT_TRUE(reactor_->watch(second.out.get(), EPOLLIN, ready).ok());
  });
  EXPECT_TRUE(done.take());
  EXPECT_EQ(told, 1);
}

TEST_F(ReactorTest, ReportsADescriptorThatCannotBeWatched) {
  on_reactor([this] {
    const auto watched = reactor_->watch(-1, EPOLLIN, [](std::uint32_t) {});
    ASSERT_FALSE(watched.ok());
    EXPECT_EQ(watched.error().error_number, EBADF);
    reactor_->unwatch(-1);
  });
}

TEST_F(ReactorTest, TheLastUserWaitsForPostedCalls) {
  std::atomic<int> ran{0};
  for (int i = 0; i < 100; ++i) {
    reactor_->post([&ran] { ++ran; });
  }
  // A call that is posted by a callback of the last round still counts.
  reactor_->post([&ran, loop = reactor_.get()] { loop->post([&ran] { ++ran; }); });
  reactor_.reset();
  EXPECT_EQ(ran, 101);
}

TEST_F(ReactorTest, TheLastUserMayReleaseItOnItsOwnThread) {
  for (int round = 0; round < 20; ++round) {
    auto reactor = std::exchange(reactor_, nullptr);
    if (reactor == nullptr) {
      reactor = Reactor::shared().value();
    }
    Inbox<bool> done;
    Reactor* const loop = reactor.get();
    loop->post([&done, reactor = std::move(reactor)]() mutable {
      reactor->post([&done] { done.put(true); });
      reactor.reset();
    });
    EXPECT_TRUE(done.take());
  }
}

}  // namespace
}  // namespace blockpull::net
