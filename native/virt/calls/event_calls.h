// SPDX-License-Identifier: Apache-2.0
//
// virConnectDomainEventRegisterAny and its twin: what the entry points refuse, in libvirt's order.
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
  /// Absent: of every domain.
  std::optional<std::string> domain_uuid;
  std::string domain_name;
  /// The domain's handle was made by another connection.
  bool is_of_other_connection = false;
  /// The same for the same function; 0 for none.
  std::uint64_t callback = 0;
};

/// 8: a domain of another connection, no callback, a number that is no event of libvirt's. 3: an
/// event that is not sent here, whose callback would never be called.
[[nodiscard]] Result<void> check_event_call(const Connect& connect, const EventCall& call);

/// What it registers, for EventBook::add().
[[nodiscard]] EventRegistration registration_of(const EventCall& call);

/// The id of the registration, after these checks. 8 for a callback that is there already.
[[nodiscard]] Result<int> register_event(Connect& connect, const EventCall& call);

/// 8 for an id below 0, or one that is not registered.
[[nodiscard]] Result<void> deregister_event(Connect& connect, int id);

}  // namespace blockpull::virt
