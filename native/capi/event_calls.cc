// SPDX-License-Identifier: Apache-2.0
//
// The event loop, and event registrations.

#include <cstdint>

#include "capi/call.h"
#include "capi/event_callbacks.h"
#include "capi/event_loop.h"
#include "capi/handles.h"

using blockpull::capi::Call;
using blockpull::capi::EventLoop;

int virEventRegisterDefaultImpl() {
  const Call call("virEventRegisterDefaultImpl");
  if (!call.may_begin()) {
    return -1;
  }
  EventLoop::get().register_default();
  return 0;
}

int virEventRunDefaultImpl() {
  const Call call("virEventRunDefaultImpl");
  if (!call.may_begin()) {
    return -1;
  }
  if (!EventLoop::get().run_once()) {
    blockpull::capi::raise(blockpull::virt::report(
        blockpull::ErrorKind::kUnsupported, blockpull::virt::ErrorCode::kInternalError,
        blockpull::virt::ErrorDomain::kNone,
        "no event loop is registered; call virEventRegisterDefaultImpl first"));
    return -1;
  }
  return 0;
}

int virConnectDomainEventRegisterAny(virConnectPtr conn, virDomainPtr dom, int eventID,
                                     virConnectDomainEventGenericCallback cb, void* opaque,
                                     virFreeCallback freecb) {
  const Call call("virConnectDomainEventRegisterAny");
  if (!call.takes(conn) || (dom != nullptr && !call.takes(dom))) {
    return -1;
  }
  blockpull::virt::EventCall request;
  request.event = eventID;
  if (dom != nullptr) {
    request.domain_uuid = dom->uuid();
    request.domain_name = dom->name();
    request.is_of_other_connection = &dom->connection() != conn;
  }
  request.callback = reinterpret_cast<std::uintptr_t>(cb);
  const auto id = conn->callbacks().add(request, {cb, opaque, freecb});
  return call.succeeded(id) ? id.value() : -1;
}

int virConnectDomainEventDeregisterAny(virConnectPtr conn, int callbackID) {
  const Call call("virConnectDomainEventDeregisterAny");
  if (!call.takes(conn)) {
    return -1;
  }
  return call.status(conn->callbacks().remove(callbackID));
}
