// SPDX-License-Identifier: Apache-2.0
//
// The event loop, and who listens. Events 8 and 16 are told here; a callback for another one would
// never be called, so it is refused and not taken.

#include <optional>

#include "capi/call.h"
#include "capi/event_callbacks.h"
#include "capi/event_loop.h"
#include "capi/handles.h"
#include "core/base/text.h"

namespace blockpull::capi {
namespace {

/// VIR_DOMAIN_EVENT_ID_LAST of libvirt 11.3.0.
constexpr int kEventIds = 28;
constexpr int kBlockJob = 8;
constexpr int kBlockJob2 = 16;

/// Whether `event` is an event of libvirt's, and one that is told here.
bool check_event(const Call& call, int event) {
  if (event < 0) {
    call.refuse("eventID", text("eventID in ", call.function(), " must be zero or greater"));
    return false;
  }
  if (event >= kEventIds) {
    call.refuse("eventID", text("eventID must be less than ", kEventIds));
    return false;
  }
  if (event != kBlockJob && event != kBlockJob2) {
    raise(virt::report(ErrorKind::kUnsupported, virt::ErrorCode::kNoSupport,
                       virt::ErrorDomain::kPublic, call.function()));
    return false;
  }
  return true;
}

}  // namespace
}  // namespace blockpull::capi

using blockpull::text;
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
  if (dom != nullptr && &dom->connection() != conn) {
    call.refuse("dom", text("domain '", dom->name(), "' must match connection"));
    return -1;
  }
  if (!call.has(reinterpret_cast<const void*>(cb), "cb") ||
      !blockpull::capi::check_event(call, eventID)) {
    return -1;
  }
  blockpull::capi::EventCallback callback;
  callback.event = eventID;
  callback.uuid = dom == nullptr ? std::nullopt : std::optional(dom->uuid());
  callback.function = cb;
  callback.opaque = opaque;
  callback.free = freecb;
  const auto id = conn->callbacks().add(std::move(callback));
  return call.succeeded(id) ? id.value() : -1;
}

int virConnectDomainEventDeregisterAny(virConnectPtr conn, int callbackID) {
  const Call call("virConnectDomainEventDeregisterAny");
  if (!call.takes(conn)) {
    return -1;
  }
  if (callbackID < 0) {
    call.refuse("callbackID", text("callbackID in ", call.function(), " must be zero or greater"));
    return -1;
  }
  return call.status(conn->callbacks().remove(callbackID));
}
