// SPDX-License-Identifier: Apache-2.0
//
// Looking domains up, and what their handles tell.

#include <cstring>
#include <string>

#include "capi/call.h"
#include "capi/handles.h"
#include "capi/wait.h"
#include "virt/session/checks.h"

namespace blockpull::capi {
namespace {

using Found = virt::DomainWithState;

/// virDomainXMLFlags: SECURE, INACTIVE, UPDATE_CPU, MIGRATABLE. None changes what is here.
constexpr virt::Flags kXmlSecure = 1U << 0U;
constexpr virt::Flags kXmlFlags = 0xf;

/// Characters of a UUID and the NUL: VIR_UUID_STRING_BUFLEN.
constexpr std::size_t kUuidBuffer = 37;

virDomainPtr handle_of(const Call& call, ConnectionHandle& connection,
                       const virt::Result<Found>& found) {
  if (!call.succeeded(found)) {
    return nullptr;
  }
  const virt::Domain& domain = found->domain;
  const int number = connection.number(domain.uuid, found->state == virt::DomainState::kRunning);
  return DomainHandle::make(connection, domain.name, domain.uuid, number);
}

virt::Result<void> check_xml_flags(const virt::Connection& connection, virt::Flags flags) {
  if (connection.is_read_only() && (flags & kXmlSecure) != 0) {
    return virt::report(ErrorKind::kReadOnly, virt::ErrorCode::kOperationDenied,
                        virt::ErrorDomain::kPublic, "virDomainGetXMLDesc with secure flag");
  }
  return virt::check_flags(flags, kXmlFlags, "qemuDomainGetXMLDesc");
}

}  // namespace
}  // namespace blockpull::capi

using blockpull::capi::answer_of;
using blockpull::capi::Call;
using blockpull::capi::Found;

virDomainPtr virDomainLookupByName(virConnectPtr conn, const char* name) {
  const Call call("virDomainLookupByName");
  if (!call.takes(conn) || !call.has(name, "name")) {
    return nullptr;
  }
  const auto found = answer_of<Found>([&](auto answer) { answer(conn->virt().lookup_name(name)); });
  return blockpull::capi::handle_of(call, *conn, found);
}

virDomainPtr virDomainLookupByUUIDString(virConnectPtr conn, const char* uuidstr) {
  const Call call("virDomainLookupByUUIDString");
  if (!call.takes(conn) || !call.has(uuidstr, "uuidstr")) {
    return nullptr;
  }
  const auto found =
      answer_of<Found>([&](auto answer) { answer(conn->virt().lookup_uuid(uuidstr)); });
  return blockpull::capi::handle_of(call, *conn, found);
}

const char* virDomainGetName(virDomainPtr domain) {
  const Call call("virDomainGetName");
  return call.takes(domain) ? domain->name().c_str() : nullptr;
}

unsigned int virDomainGetID(virDomainPtr domain) {
  const Call call("virDomainGetID");
  return static_cast<unsigned int>(call.takes(domain) ? domain->number() : -1);
}

int virDomainGetUUIDString(virDomainPtr domain, char* buf) {
  const Call call("virDomainGetUUIDString");
  if (!call.takes(domain) || !call.has(buf, "buf")) {
    return -1;
  }
  const std::size_t length = domain->uuid().copy(buf, blockpull::capi::kUuidBuffer - 1);
  buf[length] = '\0';
  return 0;
}

char* virDomainGetXMLDesc(virDomainPtr domain, unsigned int flags) {
  const Call call("virDomainGetXMLDesc");
  if (!call.takes(domain)) {
    return nullptr;
  }
  auto& connection = domain->connection().virt();
  if (!call.succeeded(blockpull::capi::check_xml_flags(connection, flags))) {
    return nullptr;
  }
  const auto xml =
      answer_of<std::string>([&](auto answer) { answer(connection.domain_xml(domain->uuid())); });
  return call.succeeded(xml) ? ::strdup(xml->c_str()) : nullptr;
}

int virDomainRef(virDomainPtr domain) {
  const Call call("virDomainRef");
  if (!call.takes(domain)) {
    return -1;
  }
  domain->ref();
  return 0;
}

int virDomainFree(virDomainPtr domain) {
  const Call call("virDomainFree");
  if (!call.takes(domain)) {
    return -1;
  }
  domain->unref();
  return 0;
}
