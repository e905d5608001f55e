// SPDX-License-Identifier: Apache-2.0
//
// libvirt's default event loop, as far as events of block jobs need one: the program registers it
// and then runs it, once for each turn, on a thread of its choice; callbacks run there and nowhere
// else. A turn waits until there is something to tell.
//
// Thread rule: any thread. Never destroyed.

#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>

namespace blockpull::capi {

class EventCallbacks;

class EventLoop {
 public:
  static EventLoop& get();

  void register_default();
  [[nodiscard]] bool is_registered();

  /// Something waits in `callbacks`.
  void wake(std::shared_ptr<EventCallbacks> callbacks);

  /// One turn. False, at once, where no loop is registered.
  [[nodiscard]] bool run_once();

 private:
  /// Guards what follows.
  std::mutex mutex_;
  std::condition_variable woken_;
  bool is_registered_ = false;
  std::deque<std::shared_ptr<EventCallbacks>> ready_;
};

}  // namespace blockpull::capi
