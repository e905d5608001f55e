// SPDX-License-Identifier: Apache-2.0
//
// The callbacks that are registered on one connection, and the events on their way to them:
//
//     engine's thread     queue ─▶ event loop is woken
//     event loop's thread          dispatch ─▶ event 8, then event 16, to each callback in turn
//
// No lock is held while a callback runs, so it may register and deregister, itself too. What is
// deregistered meanwhile hears nothing more, and stays in the list until the dispatch is over: only
// then is its free function called, as in libvirt.
//
// Each callback holds a reference on the connection.
//
// Thread rule: any thread; queue() does not block.

#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "capi/abi.h"
#include "virt/session/events.h"

namespace blockpull::capi {

struct EventCallback {
  /// 8 or 16.
  int event = 0;
  /// Absent: of every domain.
  std::optional<std::string> uuid;
  virConnectDomainEventGenericCallback function = nullptr;
  void* opaque = nullptr;
  /// May be null.
  virFreeCallback free = nullptr;
  /// Counted from 0 on each connection.
  int id = 0;
  bool is_removed = false;
};

class EventCallbacks : public std::enable_shared_from_this<EventCallbacks> {
 public:
  /// `connection` outlives every callback, since they hold it.
  explicit EventCallbacks(ConnectionHandle& connection) : connection_(connection) {}

  /// Its id. 8 for a callback that is there already, 1 without an event loop.
  [[nodiscard]] virt::Result<int> add(EventCallback callback);
  [[nodiscard]] virt::Result<void> remove(int id);

  void queue(const virt::BlockJobEvent& event);
  void dispatch();

 private:
  void tell(const virt::BlockJobEvent& event, int id);
  void release(const std::vector<EventCallback>& removed);
  [[nodiscard]] std::vector<EventCallback> take_removed();

  ConnectionHandle& connection_;
  /// Guards what follows.
  std::mutex mutex_;
  std::vector<EventCallback> callbacks_;
  std::deque<virt::BlockJobEvent> events_;
  int next_id_ = 0;
  /// Dispatches under way.
  int dispatching_ = 0;
};

}  // namespace blockpull::capi
