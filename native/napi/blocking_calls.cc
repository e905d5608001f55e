// SPDX-License-Identifier: Apache-2.0

#include "napi/blocking_calls.h"

#include <atomic>
#include <utility>

#include "core/base/thread.h"
#include "core/io/blocking_pool.h"

namespace blockpull::napi {
namespace {

/// How many calls run at once; each may wait for a slow disk.
constexpr std::size_t kThreads = 16;

/// Threads of calls that have one of their own, over all environments.
constexpr int kMostAlone = 256;

/// The process's pool. Never destroyed: its threads may be running while the process ends.
Result<io::BlockingPool*> pool() {
  static auto* const threads =
      new Result<std::unique_ptr<io::BlockingPool>>(io::BlockingPool::create(kThreads));
  return threads->ok() ? Result<io::BlockingPool*>(threads->value().get()) : threads->error();
}

}  // namespace

Result<void> BlockingCalls::run(std::function<bool()> step) {
  BLOCKPULL_TRY(threads, pool());
  threads->run([self = shared_from_this(), step = std::move(step)] { self->take_step(step); });
  return {};
}

Result<void> BlockingCalls::run_alone(std::function<bool()> step) {
  static std::atomic<int> alone{0};
  if (alone.fetch_add(1) < kMostAlone) {
    auto thread = Thread::start("blockpull-walk", [self = shared_from_this(), step] {
      self->take_step(step);
      alone.fetch_sub(1);
    });
    if (thread.ok()) {
      thread->detach();
      return {};
    }
  }
  alone.fetch_sub(1);
  return run(std::move(step));
}

void BlockingCalls::take_step(const std::function<bool()>& step) {
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_) {
      return;
    }
    ++running_;
  }
  const bool is_done = step();
  // The pool has threads, since this is one of them.
  static_cast<void>(is_done ? Result<void>() : run(step));
  const std::lock_guard lock(mutex_);
  --running_;
  idle_.notify_all();
}

void BlockingCalls::close() {
  std::unique_lock lock(mutex_);
  is_closed_ = true;
  idle_.wait(lock, [this] { return running_ == 0; });
}

}  // namespace blockpull::napi
