// SPDX-License-Identifier: Apache-2.0

#include "capi/event_callbacks.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "capi/event_loop.h"
#include "capi/handles.h"
#include "core/base/text.h"

namespace blockpull::capi {
namespace {

constexpr int kBlockJob = 8;
constexpr int kBlockJob2 = 16;

/// Events that wait for a program which does not run its event loop. Each is the end of a job, so
/// this is more than any program leaves lying; beyond it the oldest goes.
constexpr std::size_t kWaitingEvents = 65536;

virt::Failure bad_argument(std::string detail) {
  return virt::report(ErrorKind::kInvalidArgument, virt::ErrorCode::kInvalidArg,
                      virt::ErrorDomain::kNone, detail);
}

}  // namespace

virt::Result<int> EventCallbacks::add(EventCallback callback) {
  if (!EventLoop::get().is_registered()) {
    return virt::report(ErrorKind::kUnsupported, virt::ErrorCode::kInternalError,
                        virt::ErrorDomain::kNone, "could not initialize domain event timer");
  }
  const std::lock_guard lock(mutex_);
  for (const EventCallback& known : callbacks_) {
    if (!known.is_removed && known.event == callback.event && known.uuid == callback.uuid &&
        known.function == callback.function) {
      return bad_argument("event callback already tracked");
    }
  }
  callback.id = next_id_++;
  callbacks_.push_back(std::move(callback));
  connection_.ref();
  return callbacks_.back().id;
}

virt::Result<void> EventCallbacks::remove(int id) {
  std::vector<EventCallback> removed;
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find_if(callbacks_, [id](const EventCallback& callback) {
      return callback.id == id && !callback.is_removed;
    });
    if (found == callbacks_.end()) {
      return bad_argument(text("event callback id ", id, " not registered"));
    }
    found->is_removed = true;
    removed = take_removed();
  }
  release(removed);
  return {};
}

/// Those whose turn to go has come: none during a dispatch, which counts places in the list.
std::vector<EventCallback> EventCallbacks::take_removed() {
  std::vector<EventCallback> removed;
  if (dispatching_ == 0) {
    std::ranges::copy_if(callbacks_, std::back_inserter(removed), &EventCallback::is_removed);
    std::erase_if(callbacks_, [](const EventCallback& callback) { return callback.is_removed; });
  }
  return removed;
}

void EventCallbacks::release(const std::vector<EventCallback>& removed) {
  for (const EventCallback& callback : removed) {
    if (callback.free != nullptr) {
      callback.free(callback.opaque);
    }
    connection_.unref();
  }
}

void EventCallbacks::queue(const virt::BlockJobEvent& event) {
  {
    const std::lock_guard lock(mutex_);
    if (callbacks_.empty()) {
      return;
    }
    if (events_.size() == kWaitingEvents) {
      events_.pop_front();
    }
    events_.push_back(event);
  }
  EventLoop::get().wake(shared_from_this());
}

void EventCallbacks::dispatch() {
  const auto self = shared_from_this();  // the connection may go with its last callback
  std::deque<virt::BlockJobEvent> events;
  {
    const std::lock_guard lock(mutex_);
    events.swap(events_);
    if (callbacks_.empty()) {
      return;
    }
    ++dispatching_;
    connection_.ref();
  }
  for (const virt::BlockJobEvent& event : events) {
    // libvirt leaves event 8 out where there is no path to tell.
    if (event.path.starts_with('/')) {
      tell(event, kBlockJob);
    }
    tell(event, kBlockJob2);
  }
  std::vector<EventCallback> removed;
  {
    const std::lock_guard lock(mutex_);
    --dispatching_;
    removed = take_removed();
  }
  release(removed);
  connection_.unref();
}

void EventCallbacks::tell(const virt::BlockJobEvent& event, int id) {
  std::size_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    count = callbacks_.size();
  }
  for (std::size_t i = 0; i < count; ++i) {
    EventCallback callback;
    {
      const std::lock_guard lock(mutex_);
      callback = callbacks_[i];
    }
    if (callback.is_removed || callback.event != id ||
        callback.uuid.value_or(event.domain_uuid) != event.domain_uuid) {
      continue;
    }
    DomainHandle* domain = DomainHandle::make(connection_, event.domain_name, event.domain_uuid,
                                              connection_.number_of(event.domain_uuid));
    const std::string& disk = id == kBlockJob ? event.path : event.target;
    // The program has cast it to the generic type, whatever its event; back to what it is.
    const auto function = reinterpret_cast<virConnectDomainEventBlockJobCallback>(
        reinterpret_cast<void*>(callback.function));
    function(&connection_, domain, disk.c_str(), static_cast<int>(event.type),
             static_cast<int>(event.status), callback.opaque);
    domain->unref();
  }
}

}  // namespace blockpull::capi
