// SPDX-License-Identifier: Apache-2.0
//
// A job::Host with one thread, no kernel and no real time. It does nothing by itself, and one thing
// at every step():
//
//     step: a posted call, if there is one
//           else a pending request or a pending blocking call     the seed chooses which one
//           else the next timer; the clock jumps to it
//
// With seed 0 everything runs in the order of the requests. Any other seed gives an order of its
// own, the same every time. A test can therefore walk a job step by step, and stop it at any step.
//
// Thread rule: one thread.

#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "job/host.h"

namespace blockpull::faults {

class FakeClock final : public Clock {
 public:
  [[nodiscard]] Nanoseconds now() const override { return now_; }
  void set(Nanoseconds now) { now_ = now; }

 private:
  /// Not 0, so that code that takes 0 for "never" is noticed.
  Nanoseconds now_{1'000'000'000'000};
};

/// Requests wait until the test runs them.
class InlineQueue final : public io::RequestQueue {
 public:
  [[nodiscard]] const char* name() const override { return "inline"; }
  void submit(io::Request& request) override { pending_.push_back(&request); }
  /// Runs everything that was pending at the call.
  void wait(Nanoseconds until) override;
  void wake() override {}

  [[nodiscard]] std::size_t pending() const { return pending_.size(); }
  void run(std::size_t index);

 private:
  std::deque<io::Request*> pending_;
};

class InlineHost : public job::Host {
 public:
  /// Hosts may share `buffers` if they do not live at the same time.
  InlineHost(io::BufferArena& buffers, std::uint64_t seed)
      : buffers_(buffers), random_(seed), shuffles_(seed != 0) {}

  [[nodiscard]] io::RequestQueue& queue() override { return queue_; }
  [[nodiscard]] io::BufferArena& buffers() override { return buffers_; }
  [[nodiscard]] const Clock& clock() const override { return clock_; }
  void run_blocking(std::function<void()> work, std::function<void()> then) override;
  std::uint64_t call_at(Nanoseconds when, std::function<void()> callback) override;
  void cancel_call(std::uint64_t ticket) override;
  void post(std::function<void()> callback) override { posted_.push_back(std::move(callback)); }

  /// False if there is nothing to do, now or later.
  bool step();

  /// Number of waiting requests, calls and timers.
  [[nodiscard]] std::size_t outstanding() const {
    return posted_.size() + queue_.pending() + blocking_.size() + timers_.size();
  }

 private:
  struct BlockingCall {
    std::function<void()> work;
    std::function<void()> then;
  };

  struct Timer {
    std::uint64_t ticket = 0;
    std::function<void()> callback;
  };

  void run_blocking_call(std::size_t index);
  void run_timer();

  io::BufferArena& buffers_;
  FakeClock clock_;
  InlineQueue queue_;
  std::mt19937_64 random_;
  const bool shuffles_;
  std::deque<std::function<void()>> posted_;
  std::deque<BlockingCall> blocking_;
  std::multimap<Nanoseconds, Timer> timers_;
  std::uint64_t next_ticket_ = 1;
};

}  // namespace blockpull::faults
