// SPDX-License-Identifier: Apache-2.0

#include "job/engine.h"

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "core/base/limits.h"
#include "core/io/thread_queue.h"
#include "core/io/uring_queue.h"

namespace blockpull::job {
namespace {

bool threads_are_forced() {
  const char* const choice = std::getenv("BLOCKPULL_IO");
  return choice != nullptr && std::string_view(choice) == "threads";
}

/// io_uring, or nullptr if it is refused, which is printed once per process.
std::unique_ptr<io::RequestQueue> try_uring() {
  auto queue = io::UringQueue::create();
  if (queue.ok()) {
    return std::move(queue).value();
  }
  static std::once_flag said;
  std::call_once(said, [&queue] {
    std::fprintf(
        stderr,
        "blockpull: io_uring is refused here (%s); using pread and pwrite, which is slower\n",
        queue.error().message.c_str());
  });
  return nullptr;
}

}  // namespace

Result<std::shared_ptr<Engine>> Engine::shared() {
  static std::mutex mutex;
  static auto* const current = new std::weak_ptr<Engine>;
  const std::lock_guard lock(mutex);
  if (auto engine = current->lock()) {
    return engine;
  }
  BLOCKPULL_TRY(buffers, io::BufferArena::create(limits::kBufferBytes));
  BLOCKPULL_TRY(blocking, io::BlockingPool::create(limits::kBlockingThreads));
  auto engine =
      std::shared_ptr<Engine>(new Engine(std::move(buffers), std::move(blocking)), &let_go);
  BLOCKPULL_TRY(thread, Thread::start("blockpull", [of = engine.get()] { run(of); }));
  engine->thread_.emplace(std::move(thread));
  *current = engine;
  return engine;
}

Engine::Engine(std::unique_ptr<io::BufferArena> buffers, std::unique_ptr<io::BlockingPool> blocking)
    : registry_(std::make_shared<Registry>()),
      buffers_(std::move(buffers)),
      blocking_(std::move(blocking)) {
  if (!threads_are_forced()) {
    queue_ = try_uring();
  }
  if (queue_ == nullptr) {
    queue_ = std::make_unique<io::ThreadQueue>(*blocking_);
  }
}

void Engine::let_go(Engine* engine) {
  const bool is_own =
      engine->thread_ && (engine->thread_->is_current() || engine->blocking_->is_current());
  if (!is_own) {
    delete engine;
    return;
  }
  engine->thread_->detach();
  const std::lock_guard lock(engine->mutex_);
  engine->stopping_ = true;
  engine->is_left_ = true;
  engine->queue_->wake();
}

void Engine::run(Engine* engine) {
  engine->loop();
  if (engine->is_left_) {
    delete engine;
  }
}

Engine::~Engine() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  queue_->wake();
  thread_.reset();
  // A thread of the pool may still be between posting and waking. The last callback can run, and
  // release the engine, before its poster has returned. The queue that it wakes must outlive it.
  blocking_.reset();
}

void Engine::post(std::function<void()> callback) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(callback));
  }
  queue_->wake();
}

void Engine::run_blocking(std::function<void()> work, std::function<void()> done) {
  blocking_->run([this, work = std::move(work), done = std::move(done)]() mutable {
    work();
    // Destroyed here, not on the engine's thread: what it holds may take long to close.
    work = nullptr;
    post(std::move(done));
  });
}

std::uint64_t Engine::call_at(Nanoseconds when, std::function<void()> callback) {
  return timers_.add(when, std::move(callback));
}

void Engine::cancel_call(std::uint64_t ticket) {
  timers_.cancel(ticket);
}

/// False if the engine must end.
bool Engine::run_posted() {
  std::vector<std::function<void()>> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
    if (posted.empty() && stopping_) {
      return false;
    }
    if (stopping_) {
      // The destructor's wake is used up and no other will come: check again after these.
      queue_->wake();
    }
  }
  for (auto& callback : posted) {
    callback();
    callback = nullptr;
  }
  return true;
}

void Engine::loop() {
  while (run_posted()) {
    timers_.run_due(clock_.now());
    queue_->wait(timers_.next());
  }
}

}  // namespace blockpull::job
