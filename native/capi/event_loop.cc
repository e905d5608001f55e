// SPDX-License-Identifier: Apache-2.0

#include "capi/event_loop.h"

#include <utility>

namespace blockpull::capi {

EventLoop& EventLoop::get() {
  static auto* const loop = new EventLoop;
  return *loop;
}

void EventLoop::register_default() {
  const std::lock_guard lock(mutex_);
  is_registered_ = true;
}

bool EventLoop::is_registered() {
  const std::lock_guard lock(mutex_);
  return is_registered_;
}

void EventLoop::wake(std::shared_ptr<EventSource> source) {
  const std::lock_guard lock(mutex_);
  if (ready_.empty() || ready_.back() != source) {
    ready_.push_back(std::move(source));
  }
  woken_.notify_one();
}

bool EventLoop::run_once() {
  std::deque<std::shared_ptr<EventSource>> ready;
  {
    std::unique_lock lock(mutex_);
    if (!is_registered_) {
      return false;
    }
    woken_.wait(lock, [this] { return !ready_.empty(); });
    ready.swap(ready_);
  }
  for (const auto& source : ready) {
    source->dispatch();
  }
  return true;
}

}  // namespace blockpull::capi
