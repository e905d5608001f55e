// SPDX-License-Identifier: Apache-2.0
//
// virConnectDomainEventRegisterAny and its counterpart: the refusals of the entry points, in
// libvirt's order.
//
// Thread rule: any thread.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "virt/calls/connect.h"

namespace blockpull::virt {

struct EventCall {
  int event = 0;
  /// Absent: events of every domain.
  std::optional<std::string> domain_uuid;
  std::string domain_name;
  /// The domain's handle belongs to another connection.
  bool is_of_other_connection = false;
  /// Equal for the same function; 0 for none.
  std::uint64_t callback = 0;
};

/// 8: a domain of another connection, no callback, or a number that is no event of libvirt's. 3: an
/// event that we never send, so its callback would never be called.
[[nodiscard]] Result<void> check_event_call(const Connect& connect, const EventCall& call);

/// What to pass to EventBook::add() for this call.
[[nodiscard]] EventRegistration registration_of(const EventCall& call);

/// Returns the id of the registration after these checks. 8 if the callback is already registered.
[[nodiscard]] Result<int> register_event(Connect& connect, const EventCall& call);

/// 8 for a negative id, or one that is not registered.
[[nodiscard]] Result<void> deregister_event(Connect& connect, int id);

}  // namespace blockpull::virt
