// SPDX-License-Identifier: Apache-2.0
//
// libvirt's default event loop, as far as events of block jobs need one. The program registers it
// and then runs it, one call per turn, on a thread of its choice; callbacks run only there. A turn
// waits until there is an event.
//
// Thread rule: any thread. Never destroyed.

#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>

namespace blockpull::capi {

/// Events that wait for a turn of the loop.
class EventSource {
 public:
  virtual ~EventSource() = default;
  /// On the loop's thread: tells what waits.
  virtual void dispatch() = 0;
};

class EventLoop {
 public:
  static EventLoop& get();

  void register_default();
  [[nodiscard]] bool is_registered();

  /// `source` has events waiting.
  void wake(std::shared_ptr<EventSource> source);

  /// Runs one turn. False, at once, if no loop is registered.
  [[nodiscard]] bool run_once();

 private:
  /// Guards everything below.
  std::mutex mutex_;
  std::condition_variable woken_;
  bool is_registered_ = false;
  std::deque<std::shared_ptr<EventSource>> ready_;
};

}  // namespace blockpull::capi
