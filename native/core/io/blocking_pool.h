// SPDX-License-Identifier: Apache-2.0
//
// A few threads for calls that may block. Tasks start in the order in which they were given; there
// is no other promise. The destructor runs what is queued, then joins.

#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/base/thread.h"

namespace blockpull::io {

class BlockingPool {
 public:
  /// kIo if the threads cannot be started.
  [[nodiscard]] static Result<std::unique_ptr<BlockingPool>> create(std::size_t threads);
  ~BlockingPool();
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;

  void run(std::function<void()> task);

  /// Whether the caller runs on one of its threads.
  [[nodiscard]] bool is_current() const;

 private:
  BlockingPool() = default;
  void loop();

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<Thread> threads_;
};

}  // namespace blockpull::io
