// SPDX-License-Identifier: Apache-2.0
//
// The loop belongs to its thread as well as to its users. The last user may release it in one of
// the loop's own callbacks; the loop must then live until that callback has returned.

#include "core/net/reactor.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <optional>
#include <utility>

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "core/base/checked.h"
#include "core/base/thread.h"

namespace blockpull::net {
namespace {

/// How many ready descriptors one wait returns.
constexpr std::size_t kReadyAtOnce = 64;

/// Milliseconds until `when`, rounded up, for epoll_wait.
int timeout_until(Nanoseconds when, Nanoseconds now) {
  if (when == Nanoseconds::max()) {
    return -1;
  }
  if (when <= now) {
    return 0;
  }
  const auto left = static_cast<std::uint64_t>((when - now).count());
  return static_cast<int>(std::min<std::uint64_t>(divide_up(left, 1'000'000), INT_MAX));
}

}  // namespace

/// Shared by the users: the loop, and its thread, whose end the last user waits for.
struct Reactor::Lease {
  std::shared_ptr<Reactor> reactor;
  std::optional<Thread> thread;

  ~Lease() {
    if (!thread) {
      return;
    }
    reactor->stop();
    if (thread->is_current()) {
      thread->detach();
    }
  }
};

Result<std::shared_ptr<Reactor>> Reactor::shared() {
  static std::mutex mutex;
  static auto* const current = new std::weak_ptr<Reactor>;
  const std::lock_guard lock(mutex);
  if (auto reactor = current->lock()) {
    return reactor;
  }
  auto lease = std::make_shared<Lease>();
  BLOCKPULL_TRY(reactor, create());
  lease->reactor = std::move(reactor);
  BLOCKPULL_TRY(thread, Thread::start("blockpull-qmp", [loop = lease->reactor] { loop->loop(); }));
  lease->thread.emplace(std::move(thread));
  auto shared = std::shared_ptr<Reactor>(lease, lease->reactor.get());
  *current = shared;
  return shared;
}

Result<std::shared_ptr<Reactor>> Reactor::create() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.is_open()) {
    return system_error("epoll_create1", errno, "a monitor's reactor");
  }
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.is_open()) {
    return system_error("eventfd", errno, "a monitor's reactor");
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = wake.get();
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return system_error("epoll_ctl", errno, "a monitor's reactor");
  }
  return std::shared_ptr<Reactor>(new Reactor(std::move(epoll), std::move(wake)));
}

void Reactor::wake() {
  const std::uint64_t one = 1;
  // If the counter is full, the loop is already awake.
  static_cast<void>(::write(wake_.get(), &one, sizeof one));
}

void Reactor::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake();
}

void Reactor::post(std::function<void()> callback) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(callback));
  }
  wake();
}

Result<void> Reactor::watch(int fd, std::uint32_t events,
                            std::function<void(std::uint32_t)> ready) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return system_error("epoll_ctl", errno, "a monitor");
  }
  watched_[fd] = std::make_shared<std::function<void(std::uint32_t)>>(std::move(ready));
  return {};
}

void Reactor::change(int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  static_cast<void>(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event));
}

void Reactor::unwatch(int fd) {
  static_cast<void>(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr));
  watched_.erase(fd);
}

/// False if the loop must end.
bool Reactor::run_posted() {
  std::vector<std::function<void()>> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
    if (posted.empty() && stopping_) {
      return false;
    }
  }
  for (auto& callback : posted) {
    callback();
    callback = nullptr;
  }
  return true;
}

void Reactor::wait() {
  bool has_more = false;
  {
    const std::lock_guard lock(mutex_);
    has_more = stopping_ || !posted_.empty();
  }
  std::array<epoll_event, kReadyAtOnce> ready{};
  const int timeout = has_more ? 0 : timeout_until(timers_.next(), clock_.now());
  const int count =
      ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), timeout);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = ready[static_cast<std::size_t>(i)];
    if (event.data.fd == wake_.get()) {
      std::uint64_t counted = 0;
      static_cast<void>(::read(wake_.get(), &counted, sizeof counted));
      continue;
    }
    // An earlier callback of this round may have unwatched it.
    const auto found = watched_.find(event.data.fd);
    if (found != watched_.end()) {
      const auto callback = found->second;
      (*callback)(event.events);
    }
  }
}

void Reactor::loop() {
  while (run_posted()) {
    timers_.run_due(clock_.now());
    wait();
  }
  // The remaining callbacks hold users of this loop, whose destruction may post once more.
  watched_.clear();
}

}  // namespace blockpull::net
