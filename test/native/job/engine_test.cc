// SPDX-License-Identifier: Apache-2.0
//
// The real engine, with io_uring and with threads: which thread runs what, when timers fire, and
// how it ends. A test that waits for a callback may release the engine at the same moment; a
// sanitizer reports any later use of it. Real time passes here, some milliseconds; no test depends
// on how many.

#include "job/engine.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "faults/memory_file.h"
#include "files/temp_folder.h"
#include "job/job.h"

namespace blockpull::job {
namespace {

constexpr Nanoseconds kMillisecond{1'000'000};
constexpr Nanoseconds kHour{3'600'000'000'000};

/// Threads of this process with that name, which the engine gives its own.
std::size_t count_threads(const std::string& name) {
  std::size_t count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string found;
    std::getline(std::ifstream(task.path() / "comm"), found);
    count += found == name ? 1 : 0;
  }
  return count;
}

class EngineTest : public testing::TestWithParam<const char*> {
 protected:
  EngineTest() {
    ::setenv("BLOCKPULL_IO", GetParam(), 1);
    engine_ = Engine::shared().value();
  }
  ~EngineTest() override { ::unsetenv("BLOCKPULL_IO"); }

  /// Runs `work` on the engine's thread and waits for it.
  void on_engine(const std::function<void()>& work) const {
    std::promise<void> ran;
    engine_->post([&] {
      work();
      ran.set_value();
    });
    ran.get_future().wait();
  }

  [[nodiscard]] std::thread::id engine_thread() const {
    std::thread::id id;
    on_engine([&id] { id = std::this_thread::get_id(); });
    return id;
  }

  /// Calls `begin` on the engine's thread with a callback, and waits until that has been called.
  void wait_for(const std::function<void(std::function<void()>)>& begin) const {
    std::promise<void> called;
    engine_->post([&] { begin([&called] { called.set_value(); }); });
    called.get_future().wait();
  }

  std::shared_ptr<Engine> engine_;
};

TEST_P(EngineTest, TheMethodIsTheOneThatWasAskedFor) {
  EXPECT_STREQ(engine_->method(), GetParam());
}

TEST_P(EngineTest, AProcessHasOneEngine) {
  EXPECT_EQ(Engine::shared().value(), engine_);
  EXPECT_EQ(count_threads("blockpull"), 1U);
  EXPECT_EQ(count_threads("blockpull-io"), limits::kBlockingThreads);
}

TEST_P(EngineTest, ItEndsWithItsLastUserAndTheNextGetsANewOne) {
  auto other = Engine::shared().value();
  const auto* const registry = &engine_->registry();
  engine_.reset();
  EXPECT_EQ(count_threads("blockpull"), 1U);
  EXPECT_EQ(&other->registry(), registry);
  other.reset();
  EXPECT_EQ(count_threads("blockpull"), 0U);
  EXPECT_EQ(count_threads("blockpull-io"), 0U);
  engine_ = Engine::shared().value();
  on_engine([] {});
  EXPECT_EQ(count_threads("blockpull"), 1U);
}

TEST_P(EngineTest, PostedCallsRunOnItsThreadInEachThreadsOrder) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 2000;
  const std::thread::id own = engine_thread();
  std::vector<std::vector<int>> seen(kThreads);
  std::atomic<int> elsewhere{0};
  std::vector<std::thread> posters;
  for (std::size_t poster = 0; poster < kThreads; ++poster) {
    posters.emplace_back([&, poster] {
      for (int call = 0; call < kCalls; ++call) {
        engine_->post([&, poster, call] {
          seen[poster].push_back(call);
          elsewhere += std::this_thread::get_id() == own ? 0 : 1;
        });
      }
    });
  }
  for (std::thread& poster : posters) {
    poster.join();
  }
  on_engine([] {});
  EXPECT_EQ(elsewhere.load(), 0);
  for (const auto& calls : seen) {
    ASSERT_EQ(calls.size(), static_cast<std::size_t>(kCalls));
    EXPECT_TRUE(std::is_sorted(calls.begin(), calls.end()));
  }
}

TEST_P(EngineTest, ACallIsDestroyedBeforeTheNextRuns) {
  const auto held = std::make_shared<int>(0);
  long users = 0;
  on_engine([&] {
    engine_->post([held] {});
    engine_->post([&] { users = held.use_count(); });
  });
  on_engine([] {});
  EXPECT_EQ(users, 1);
}

TEST_P(EngineTest, WhatWasPostedBeforeTheEndIsRun) {
  int calls = 0;
  for (int i = 0; i < 1000; ++i) {
    engine_->post([&calls] { ++calls; });
  }
  engine_.reset();
  EXPECT_EQ(calls, 1000);
}

TEST_P(EngineTest, AnEndThatArrivesWithOtherCallsIsNotMissed) {
  std::promise<void> busy;
  std::promise<void> may_go_on;
  bool called = false;
  engine_->post([&busy, gate = may_go_on.get_future().share()] {
    busy.set_value();
    gate.wait();
  });
  busy.get_future().wait();
  engine_->post([&called] { called = true; });
  // Long enough for the end to be requested while the engine's thread is busy.
  std::thread later([&may_go_on] {
    std::this_thread::sleep_for(20 * kMillisecond);
    may_go_on.set_value();
  });
  engine_.reset();
  later.join();
  EXPECT_TRUE(called);
}

TEST_P(EngineTest, BlockingWorkRunsElsewhereAndCompletesOnTheEngineThread) {
  const std::thread::id own = engine_thread();
  std::thread::id worked;
  std::thread::id completed;
  wait_for([&](auto called) {
    engine_->run_blocking([&worked] { worked = std::this_thread::get_id(); },
                          [&completed, called] {
                            completed = std::this_thread::get_id();
                            called();
                          });
  });
  EXPECT_EQ(completed, own);
  EXPECT_NE(worked, std::thread::id());
  EXPECT_NE(worked, own);
  EXPECT_NE(worked, std::this_thread::get_id());
}

TEST_P(EngineTest, BlockingWorkIsDestroyedOnItsThreadBeforeItCompletes) {
  const std::thread::id own = engine_thread();
  std::thread::id closed;
  bool was_closed = false;
  wait_for([&](auto called) {
    std::shared_ptr<int> held(new int(0), [&closed](const int* pointer) {
      std::this_thread::sleep_for(5 * kMillisecond);
      closed = std::this_thread::get_id();
      delete pointer;
    });
    engine_->run_blocking([held = std::move(held)] {},
                          [&, called] {
                            was_closed = closed != std::thread::id();
                            called();
                          });
  });
  EXPECT_TRUE(was_closed);
  EXPECT_NE(closed, own);
}

TEST_P(EngineTest, BlockingWorkDelaysNeitherCallsNorTimers) {
  std::promise<void> may_end;
  std::promise<void> ended;
  auto gate = may_end.get_future().share();
  engine_->run_blocking([gate] { gate.wait(); }, [&ended] { ended.set_value(); });
  on_engine([] {});
  wait_for([this](auto called) { engine_->call_at(Nanoseconds(0), called); });
  may_end.set_value();
  ended.get_future().wait();
}

TEST_P(EngineTest, TheEndWaitsForRunningBlockingWork) {
  std::promise<void> begun;
  std::atomic<bool> worked{false};
  engine_->run_blocking(
      [&] {
        begun.set_value();
        std::this_thread::sleep_for(20 * kMillisecond);
        worked = true;
      },
      [] {});
  begun.get_future().wait();
  engine_.reset();
  EXPECT_TRUE(worked.load());
}

TEST_P(EngineTest, TimersFireInTheOrderOfTheirTimesAndNotBefore) {
  std::vector<int> fired;
  std::vector<Nanoseconds> early;
  wait_for([&](auto called) {
    const Nanoseconds now = engine_->clock().now();
    for (const int after : {12, 3, 7, 0, 5}) {
      const Nanoseconds when = now + after * kMillisecond;
      engine_->call_at(when, [&, when, after, called] {
        fired.push_back(after);
        if (engine_->clock().now() < when) {
          early.push_back(when);
        }
        if (after == 12) {
          called();
        }
      });
    }
  });
  EXPECT_EQ(fired, (std::vector<int>{0, 3, 5, 7, 12}));
  EXPECT_TRUE(early.empty());
}

TEST_P(EngineTest, ATimerOfThePastFiresAtOnceAndBeforeLaterOnes) {
  std::vector<int> fired;
  wait_for([&](auto called) {
    engine_->call_at(Nanoseconds(1), [&fired, called] {
      fired.push_back(1);
      called();
    });
    engine_->call_at(Nanoseconds(0), [&fired] { fired.push_back(0); });
  });
  EXPECT_EQ(fired, (std::vector<int>{0, 1}));
}

TEST_P(EngineTest, ATimerSetByACallWakesASleepingEngine) {
  std::uint64_t late = 0;
  on_engine([&] { late = engine_->call_at(engine_->clock().now() + kHour, [] { std::abort(); }); });
  wait_for(
      [this](auto called) { engine_->call_at(engine_->clock().now() + kMillisecond, called); });
  on_engine([&] { engine_->cancel_call(late); });
}

TEST_P(EngineTest, ATimerThatIsCancelledDoesNotFireAndThoseBesideItDo) {
  std::vector<int> fired;
  wait_for([&](auto called) {
    const Nanoseconds when = engine_->clock().now() + 2 * kMillisecond;
    std::vector<std::uint64_t> tickets;
    for (int i = 0; i < 5; ++i) {
      tickets.push_back(engine_->call_at(when, [&fired, i] { fired.push_back(i); }));
    }
    engine_->call_at(when + kMillisecond, called);
    engine_->cancel_call(tickets[3]);
    engine_->cancel_call(tickets[0]);
    engine_->cancel_call(tickets[3]);
    engine_->cancel_call(4711);
  });
  EXPECT_EQ(fired, (std::vector<int>{1, 2, 4}));
}

TEST_P(EngineTest, ATimerMayCancelAnotherThatIsDueAndItself) {
  std::vector<int> fired;
  wait_for([&](auto called) {
    auto tickets = std::make_shared<std::vector<std::uint64_t>>();
    for (int i = 0; i < 3; ++i) {
      tickets->push_back(engine_->call_at(Nanoseconds(1), [&, i, tickets] {
        fired.push_back(i);
        engine_->cancel_call((*tickets)[0]);
        engine_->cancel_call((*tickets)[1]);
      }));
    }
    engine_->call_at(Nanoseconds(2), called);
  });
  EXPECT_EQ(fired, (std::vector<int>{0, 2}));
}

TEST_P(EngineTest, RequestsEndOnItsThread) {
  const files::TempFolder folder;
  const auto file = io::PosixFile::open(folder.write("a", "abc"), io::Access::kReadOnly);
  ASSERT_TRUE(file.ok());
  const std::thread::id own = engine_thread();
  std::thread::id ended;
  std::byte buffer[3];
  io::Request request;
  wait_for([&](auto called) {
    request.file = file->get();
    request.buffer = buffer;
    request.length = sizeof buffer;
    request.done = [&, called](Result<void> result) {
      EXPECT_TRUE(result.ok());
      ended = std::this_thread::get_id();
      called();
    };
    engine_->queue().submit(request);
  });
  EXPECT_EQ(ended, own);
  EXPECT_EQ(buffer[2], std::byte{'c'});
}

/// Takes some turns, each through a timer and through the blocking threads; then it finishes.
class TurningWork final : public Work {
 public:
  explicit TurningWork(int turns) : turns_(turns) {}

  [[nodiscard]] Kind kind() const override { return Kind::kPull; }
  [[nodiscard]] std::uint64_t total() const override { return 0; }
  void start(Host& host, ProgressCounters& counters, std::function<void(Ending)> finish) override {
    host_ = &host;
    counters_ = &counters;
    finish_ = std::move(finish);
    turn();
  }
  void stop(Stop) override { stopped_ = true; }
  void set_bandwidth(std::uint64_t) override {}

 private:
  void turn() {
    if (stopped_) {
      finish_({.error = make_error(ErrorKind::kCancelled, "stopped"), .released = {}});
      return;
    }
    if (turns_-- == 0) {
      finish_({});
      return;
    }
    host_->call_at(host_->clock().now() + kMillisecond, [this] {
      host_->run_blocking([this] { ++counters_->moved; }, [this] { turn(); });
    });
  }

  Host* host_ = nullptr;
  ProgressCounters* counters_ = nullptr;
  std::function<void(Ending)> finish_;
  int turns_ = 0;
  bool stopped_ = false;
};

void wait_for_end(Job& job) {
  const auto ended = std::make_shared<std::promise<void>>();
  job.when_ended([ended] { ended->set_value(); });
  ended->get_future().wait();
}

TEST_P(EngineTest, AThousandJobsShareItsThreads) {
  constexpr std::uint64_t kJobs = 1000;
  std::vector<std::shared_ptr<Job>> jobs;
  for (std::uint64_t i = 0; i < kJobs; ++i) {
    auto claim = engine_->registry().claim({1, i}, "a");
    ASSERT_TRUE(claim.ok());
    jobs.push_back(
        Job::start(*engine_, std::make_unique<TurningWork>(3), std::move(claim).value(), {}));
  }
  EXPECT_EQ(count_threads("blockpull"), 1U);
  EXPECT_EQ(count_threads("blockpull-io"), limits::kBlockingThreads);
  for (const auto& job : jobs) {
    wait_for_end(*job);
    ASSERT_EQ(job->outcome()->state, State::kCompleted);
    ASSERT_EQ(job->outcome()->bytes_moved, 3U);
  }
}

TEST_P(EngineTest, AJobIsWaitedForFromManyThreads) {
  auto job = Job::start(*engine_, std::make_unique<TurningWork>(1'000'000),
                        engine_->registry().claim({1, 1}, "a").value(), {});
  std::atomic<int> ended{0};
  std::vector<std::thread> waiters;
  for (int i = 0; i < 4; ++i) {
    waiters.emplace_back([&] {
      wait_for_end(*job);
      ended += job->outcome()->state == State::kCancelled ? 1 : 0;
    });
  }
  job->stop(Stop::kCancel);
  for (std::thread& waiter : waiters) {
    waiter.join();
  }
  EXPECT_EQ(ended.load(), 4);
}

TEST_P(EngineTest, ItMayEndAsSoonAsItsLastJobHas) {
  for (int round = 0; round < 200; ++round) {
    if (engine_ == nullptr) {
      engine_ = Engine::shared().value();
    }
    auto job = Job::start(*engine_, std::make_unique<TurningWork>(0),
                          engine_->registry().claim({1, 1}, "a").value(), {});
    wait_for_end(*job);
    job.reset();
    engine_.reset();
    ASSERT_EQ(count_threads("blockpull"), 0U);
  }
}

TEST_P(EngineTest, ItsLastUserMayReleaseItOnOneOfItsThreads) {
  for (const bool in_pool : {false, true}) {
    if (engine_ == nullptr) {
      engine_ = Engine::shared().value();
    }
    Engine& engine = *engine_;
    std::promise<void> ended;
    std::promise<void> is_last;
    // What a timer holds is destroyed with the engine.
    const auto wait_for_end = [&] {
      engine.call_at(Nanoseconds::max(),
                     [with_it = std::shared_ptr<void>(
                          nullptr, [&ended](void* /*none*/) { ended.set_value(); })] {});
    };
    on_engine(wait_for_end);
    std::function<void()> let_go = [held = engine_, may_go = is_last.get_future().share()] {
      may_go.wait();
    };
    if (in_pool) {
      engine.run_blocking(std::move(let_go), [] {});
    } else {
      engine.post(std::move(let_go));
    }
    engine_.reset();
    is_last.set_value();
    ASSERT_EQ(ended.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
    while (count_threads("blockpull") + count_threads("blockpull-io") > 0) {
      std::this_thread::yield();
    }
  }
}

TEST(Engine, MayEndWhileAThreadIsStillPostingItsLastCallback) {
  for (int round = 0; round < 200; ++round) {
    auto engine = Engine::shared();
    ASSERT_TRUE(engine.ok());
    std::promise<void> done;
    (*engine)->post([&] { (*engine)->run_blocking([] {}, [&done] { done.set_value(); }); });
    done.get_future().wait();
  }
}

TEST(Engine, EndsWithCallbacksStillToRun) {
  int ran = 0;
  for (int round = 0; round < 500; ++round) {
    auto engine = Engine::shared();
    ASSERT_TRUE(engine.ok());
    (*engine)->post([&ran] { ++ran; });
    (*engine)->post([&ran] { ++ran; });
  }
  EXPECT_EQ(ran, 1000);
}

INSTANTIATE_TEST_SUITE_P(By, EngineTest, testing::Values("io_uring", "threads"),
                         [](const auto& about) { return std::string(about.param); });

}  // namespace
}  // namespace blockpull::job
