// SPDX-License-Identifier: Apache-2.0

#include "capi/event_loop.h"

#include <utility>

#include "capi/event_callbacks.h"

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

void EventLoop::wake(std::shared_ptr<EventCallbacks> callbacks) {
  const std::lock_guard lock(mutex_);
  if (ready_.empty() || ready_.back() != callbacks) {
    ready_.push_back(std::move(callbacks));
  }
  woken_.notify_one();
}

bool EventLoop::run_once() {
  std::deque<std::shared_ptr<EventCallbacks>> ready;
  {
    std::unique_lock lock(mutex_);
    if (!is_registered_) {
      return false;
    }
    woken_.wait(lock, [this] { return !ready_.empty(); });
    ready.swap(ready_);
  }
  for (const auto& callbacks : ready) {
    callbacks->dispatch();
  }
  return true;
}

}  // namespace blockpull::capi
