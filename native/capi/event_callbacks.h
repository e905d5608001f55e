// SPDX-License-Identifier: Apache-2.0
//
// The callbacks that are registered on one connection, and the events on their way to them:
//
//     engine's thread     queue ─▶ event loop is woken
//     event loop's thread          dispatch ─▶ event 8, then event 16, to each callback in turn
//
// No lock is held while a callback runs, so it may register and deregister callbacks, even itself.
// A callback that is deregistered during a dispatch is not called any more, but stays in the list
// until the dispatch is over. Only then is its free function called, as in libvirt.
//
// Each callback holds a reference on the connection.
//
// Thread rule: any thread; queue() does not block.

#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "capi/abi.h"
#include "capi/event_loop.h"
#include "virt/calls/event_calls.h"

namespace blockpull::capi {

struct EventCallback {
  virConnectDomainEventGenericCallback function = nullptr;
  void* opaque = nullptr;
  /// May be null.
  virFreeCallback free = nullptr;
};

class EventCallbacks final : public EventSource,
                             public std::enable_shared_from_this<EventCallbacks> {
 public:
  /// `connection` outlives every callback, since callbacks hold it.
  explicit EventCallbacks(ConnectionHandle& connection) : connection_(connection) {}

  /// Returns its id. Fails as register_event() does, and with 1 without an event loop, which
  /// libvirt checks after the arguments.
  [[nodiscard]] virt::Result<int> add(const virt::EventCall& call, EventCallback callback);
  [[nodiscard]] virt::Result<void> remove(int id);

  void queue(const virt::BlockJobEvent& event);
  void dispatch() override;

 private:
  void tell(const virt::BlockJobEvent& event, const virt::EventNotice& notice);
  [[nodiscard]] EventCallback find(int id);
  void release(const std::map<int, EventCallback>& removed);
  [[nodiscard]] std::map<int, EventCallback> take_removed();

  ConnectionHandle& connection_;
  /// Guards everything below.
  std::mutex mutex_;
  /// By their ids.
  std::map<int, EventCallback> callbacks_;
  /// Deregistered, but freed only after the running dispatches have ended, oldest first.
  std::map<int, EventCallback> removed_;
  std::deque<virt::BlockJobEvent> events_;
  /// Running dispatches.
  int dispatching_ = 0;
};

}  // namespace blockpull::capi
