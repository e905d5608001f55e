// SPDX-License-Identifier: Apache-2.0
//
// The event registrations of a connection, and the events that one change of a job becomes. libvirt
// sends two: 8 with the path of the active layer, and 16 with the target.
//
//     add ─▶ id ─▶ remove
//     change of a job ─▶ notices ─▶ { event 8, path, ids }, { event 16, target, ids }
//
// The callbacks belong to the bindings: a C function with its argument, or a JavaScript function.
// Here a callback is a number, used only to tell whether two registrations have the same one.
//
// Source: virConnectDomainEventRegisterAny, virDomainEventStateRegisterID of libvirt 11.
//
// Thread rule: any thread.

#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "virt/session/events.h"
#include "virt/words/error_map.h"

namespace blockpull::virt {

struct EventRegistration {
  /// libvirt's event id.
  int event = 0;
  /// Absent: events of every domain.
  std::optional<std::string> domain_uuid;
  /// Equal for the same function.
  std::uint64_t callback = 0;
};

/// One of libvirt's events, and the ids of the registrations that receive it, oldest first.
struct EventNotice {
  int event = 0;
  /// Path or target.
  std::string disk;
  std::vector<int> registrations;
};

class EventBook {
 public:
  /// Returns the id: a small number that grows from 0. 8 if this callback is already registered.
  [[nodiscard]] Result<int> add(EventRegistration registration);
  /// 8 for an id that is not registered.
  [[nodiscard]] Result<void> remove(int id);

  [[nodiscard]] std::vector<EventNotice> notices(const BlockJobEvent& event) const;

 private:
  struct Entry {
    int id = 0;
    EventRegistration registration;
  };

  [[nodiscard]] EventNotice notice(int event, const std::string& disk,
                                   const std::string& domain_uuid) const;

  /// Guards everything below.
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
  int next_id_ = 0;
};

}  // namespace blockpull::virt
