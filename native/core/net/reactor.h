// SPDX-License-Identifier: Apache-2.0
//
// One thread that serves the sockets of the process. It waits for all of them at once, so a silent
// peer costs nothing and delays nobody.
//
//     epoll ─▶ what is readable or writable ─▶ its callback
//     post  ─▶ callbacks from other threads
//     timer ─▶ deadlines, back-off
//
// There is one per process, counted by its users. The first user creates it and the last ends it,
// on any thread. Callbacks must not block.
//
// Thread rule: post() and clock() from any thread; everything else on the reactor's thread.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/base/result.h"
#include "core/base/timer_queue.h"
#include "core/base/unique_fd.h"

namespace blockpull::net {

class Reactor {
 public:
  /// The reactor of this process. kIo if its thread or descriptors cannot be created.
  [[nodiscard]] static Result<std::shared_ptr<Reactor>> shared();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  void post(std::function<void()> callback);
  [[nodiscard]] const Clock& clock() const { return clock_; }

  std::uint64_t call_at(Nanoseconds when, std::function<void()> callback) {
    return timers_.add(when, std::move(callback));
  }
  void cancel_call(std::uint64_t ticket) { timers_.cancel(ticket); }

  /// Calls `ready` with the events of epoll(7) whenever `fd` has some, until unwatch().
  [[nodiscard]] Result<void> watch(int fd, std::uint32_t events,
                                   std::function<void(std::uint32_t)> ready);
  void change(int fd, std::uint32_t events);
  /// To be called before `fd` is closed.
  void unwatch(int fd);

 private:
  struct Lease;

  Reactor(UniqueFd epoll, UniqueFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}
  [[nodiscard]] static Result<std::shared_ptr<Reactor>> create();
  void stop();
  void loop();
  [[nodiscard]] bool run_posted();
  void wait();
  void wake();

  MonotonicClock clock_;
  const UniqueFd epoll_;
  /// An eventfd.
  const UniqueFd wake_;

  /// Guards posted_ and stopping_.
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  bool stopping_ = false;

  TimerQueue timers_;
  /// Shared, so that a callback may unwatch itself.
  std::unordered_map<int, std::shared_ptr<std::function<void(std::uint32_t)>>> watched_;
};

}  // namespace blockpull::net
