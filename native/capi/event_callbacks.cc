// SPDX-License-Identifier: Apache-2.0

#include "capi/event_callbacks.h"

#include <utility>

#include "capi/handles.h"

namespace blockpull::capi {
namespace {

/// Most events that wait for a program that does not run its event loop. Each is the end of a job,
/// so no program leaves that many; beyond it the oldest is dropped.
constexpr std::size_t kWaitingEvents = 65536;

}  // namespace

virt::Result<int> EventCallbacks::add(const virt::EventCall& call, EventCallback callback) {
  virt::Connect& connect = *connection_.virt();
  BLOCKPULL_CHECK(virt::check_event_call(connect, call));
  if (!EventLoop::get().is_registered()) {
    return virt::report(ErrorKind::kUnsupported, virt::ErrorCode::kInternalError,
                        virt::ErrorDomain::kNone, "could not initialize domain event timer");
  }
  const std::lock_guard lock(mutex_);
  BLOCKPULL_TRY(id, connect.events().add(virt::registration_of(call)));
  callbacks_.emplace(id, callback);
  connection_.ref();
  return id;
}

virt::Result<void> EventCallbacks::remove(int id) {
  std::map<int, EventCallback> removed;
  {
    const std::lock_guard lock(mutex_);
    BLOCKPULL_CHECK(virt::deregister_event(*connection_.virt(), id));
    removed_.insert(callbacks_.extract(id));
    removed = take_removed();
  }
  release(removed);
  return {};
}

/// The callbacks that may be freed now: none during a dispatch, since one of them may be running.
std::map<int, EventCallback> EventCallbacks::take_removed() {
  return dispatching_ == 0 ? std::exchange(removed_, {}) : std::map<int, EventCallback>();
}

void EventCallbacks::release(const std::map<int, EventCallback>& removed) {
  for (const auto& [id, callback] : removed) {
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
    for (const virt::EventNotice& notice : connection_.virt()->events().notices(event)) {
      tell(event, notice);
    }
  }
  std::map<int, EventCallback> removed;
  {
    const std::lock_guard lock(mutex_);
    --dispatching_;
    removed = take_removed();
  }
  release(removed);
  connection_.unref();
}

/// Without a function if it was deregistered.
EventCallback EventCallbacks::find(int id) {
  const std::lock_guard lock(mutex_);
  const auto known = callbacks_.find(id);
  return known == callbacks_.end() ? EventCallback{} : known->second;
}

void EventCallbacks::tell(const virt::BlockJobEvent& event, const virt::EventNotice& notice) {
  for (const int id : notice.registrations) {
    const EventCallback callback = find(id);
    if (callback.function == nullptr) {
      continue;
    }
    const int number = connection_.virt()->ids().known(event.domain_uuid);
    DomainHandle* domain =
        DomainHandle::make(connection_, event.domain_name, event.domain_uuid, number);
    // The program has cast it to the generic type for any event; cast it back to its real type.
    const auto function = reinterpret_cast<virConnectDomainEventBlockJobCallback>(
        reinterpret_cast<void*>(callback.function));
    function(&connection_, domain, notice.disk.c_str(), static_cast<int>(event.type),
             static_cast<int>(event.status), callback.opaque);
    domain->unref();
  }
}

}  // namespace blockpull::capi
