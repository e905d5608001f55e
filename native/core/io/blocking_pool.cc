// SPDX-License-Identifier: Apache-2.0

#include "core/io/blocking_pool.h"

#include <algorithm>
#include <utility>

namespace blockpull::io {

Result<std::unique_ptr<BlockingPool>> BlockingPool::create(std::size_t threads) {
  auto pool = std::unique_ptr<BlockingPool>(new BlockingPool());
  for (std::size_t i = 0; i < threads; ++i) {
    BLOCKPULL_TRY(thread, Thread::start("blockpull-io", [of = pool.get()] { of->loop(); }));
    pool->threads_.push_back(std::move(thread));
  }
  return pool;
}

BlockingPool::~BlockingPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_all();
  threads_.clear();
}

void BlockingPool::run(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  ready_.notify_one();
}

bool BlockingPool::is_current() const {
  return std::any_of(threads_.begin(), threads_.end(),
                     [](const Thread& thread) { return thread.is_current(); });
}

void BlockingPool::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ready_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (tasks_.empty()) {
      return;
    }
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
}

}  // namespace blockpull::io
