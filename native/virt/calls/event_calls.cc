// SPDX-License-Identifier: Apache-2.0

#include "virt/calls/event_calls.h"

#include <utility>

#include "core/base/text.h"

namespace blockpull::virt {
namespace {

constexpr const char* kRegister = "virConnectDomainEventRegisterAny";
constexpr const char* kDeregister = "virConnectDomainEventDeregisterAny";

Failure refused(const char* function, const char* argument, std::string message) {
  return argument_check(ErrorDomain::kPublic, {function, argument}, std::move(message));
}

/// The argument `name` of `function` is negative.
Failure negative(const char* function, const char* name) {
  return refused(function, name, text(name, " in ", function, " must be zero or greater"));
}

}  // namespace

Result<void> check_event_call(const Connect& connect, const EventCall& call) {
  BLOCKPULL_CHECK(connect.driver().check_open(kRegister));
  if (call.is_of_other_connection) {
    return refused(kRegister, "dom", text("domain '", call.domain_name, "' must match connection"));
  }
  if (call.callback == 0) {
    return refused(kRegister, "cb", text("cb in ", kRegister, " must not be NULL"));
  }
  if (call.event < 0) {
    return negative(kRegister, "eventID");
  }
  if (call.event >= event_id::kLast) {
    return refused(kRegister, "eventID", text("eventID must be less than ", event_id::kLast));
  }
  if (call.event != event_id::kBlockJob && call.event != event_id::kBlockJob2) {
    return report(ErrorKind::kUnsupported, ErrorCode::kNoSupport, ErrorDomain::kPublic, kRegister);
  }
  return {};
}

EventRegistration registration_of(const EventCall& call) {
  return {call.event, call.domain_uuid, call.callback};
}

Result<int> register_event(Connect& connect, const EventCall& call) {
  BLOCKPULL_CHECK(check_event_call(connect, call));
  return connect.events().add(registration_of(call));
}

Result<void> deregister_event(Connect& connect, int id) {
  BLOCKPULL_CHECK(connect.driver().check_open(kDeregister));
  return id < 0 ? Result<void>(negative(kDeregister, "callbackID")) : connect.events().remove(id);
}

}  // namespace blockpull::virt
