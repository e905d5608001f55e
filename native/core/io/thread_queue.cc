// SPDX-License-Identifier: Apache-2.0

#include "core/io/thread_queue.h"

#include "core/io/transfer.h"

namespace blockpull::io {

void ThreadQueue::submit(Request& request) {
  begin_transfer(request);
  pool_.run([this, &request] {
    Result<void> result = transfer_now(request);
    const std::lock_guard lock(mutex_);
    ended_.emplace_back(&request, std::move(result));
    changed_.notify_one();
  });
}

void ThreadQueue::wait(Nanoseconds until) {
  std::vector<std::pair<Request*, Result<void>>> ended;
  {
    std::unique_lock lock(mutex_);
    const auto has_news = [this] { return woken_ || !ended_.empty(); };
    if (until == Nanoseconds::max()) {
      changed_.wait(lock, has_news);
    } else {
      changed_.wait_until(lock, until, has_news);
    }
    woken_ = false;
    ended.swap(ended_);
  }
  for (auto& [request, result] : ended) {
    // Moved out first, since its maker may destroy the request in the call.
    const auto done = std::move(request->done);
    done(std::move(result));
  }
}

void ThreadQueue::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_one();
}

}  // namespace blockpull::io
