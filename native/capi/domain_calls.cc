// SPDX-License-Identifier: Apache-2.0
//
// Finding domains, and reading their handles.

#include "virt/calls/domain_calls.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "capi/call.h"
#include "capi/handles.h"
#include "capi/wait.h"

namespace blockpull::capi {
namespace {

using Found = virt::FoundDomain;
using Domains = virt::FoundDomains;

/// Characters of a UUID with the NUL: VIR_UUID_STRING_BUFLEN.
constexpr std::size_t kUuidBuffer = 37;

virDomainPtr handle_to(ConnectionHandle& connection, const Found& found) {
  return DomainHandle::make(connection, found.domain.name, found.domain.uuid, found.id);
}

virDomainPtr handle_of(const Call& call, ConnectionHandle& connection,
                       const virt::Result<Found>& found) {
  if (!call.succeeded(found)) {
    return nullptr;
  }
  return handle_to(connection, *found);
}

/// A null-terminated array, in memory that the program frees.
virDomainPtr* handles_of(ConnectionHandle& connection, const Domains& domains) {
  auto* const handles =
      static_cast<virDomainPtr*>(std::calloc(domains.size() + 1, sizeof(virDomainPtr)));
  if (handles == nullptr) {
    std::abort();
  }
  std::ranges::transform(domains, handles,
                         [&](const Found& domain) { return handle_to(connection, domain); });
  return handles;
}

}  // namespace
}  // namespace blockpull::capi

using blockpull::capi::answer_of;
using blockpull::capi::Call;
using blockpull::capi::Domains;
using blockpull::capi::Found;

virDomainPtr virDomainLookupByName(virConnectPtr conn, const char* name) {
  const Call call("virDomainLookupByName");
  if (!call.takes(conn) || !call.has(name, "name")) {
    return nullptr;
  }
  const auto found = answer_of<Found>(
      [&](auto answer) { blockpull::virt::lookup_by_name(conn->virt(), name, answer); });
  return blockpull::capi::handle_of(call, *conn, found);
}

virDomainPtr virDomainLookupByUUIDString(virConnectPtr conn, const char* uuidstr) {
  const Call call("virDomainLookupByUUIDString");
  if (!call.takes(conn) || !call.has(uuidstr, "uuidstr")) {
    return nullptr;
  }
  const auto found = answer_of<Found>(
      [&](auto answer) { blockpull::virt::lookup_by_uuid(conn->virt(), uuidstr, answer); });
  return blockpull::capi::handle_of(call, *conn, found);
}

virDomainPtr virDomainDefineXML(virConnectPtr conn, const char* xml) {
  const Call call("virDomainDefineXML");
  if (!call.takes(conn) || !call.may_write(conn) || !call.has(xml, "xml")) {
    return nullptr;
  }
  const auto found = answer_of<Found>(
      [&](auto answer) { blockpull::virt::define_xml(conn->virt(), xml, answer); });
  return blockpull::capi::handle_of(call, *conn, found);
}

int virConnectListAllDomains(virConnectPtr conn, virDomainPtr** domains, unsigned int flags) {
  const Call call("virConnectListAllDomains");
  if (domains != nullptr) {
    *domains = nullptr;
  }
  if (!call.takes(conn)) {
    return -1;
  }
  const auto found = answer_of<Domains>(
      [&](auto answer) { blockpull::virt::list_all_domains(conn->virt(), flags, answer); });
  if (!call.succeeded(found)) {
    return -1;
  }
  if (domains != nullptr) {
    *domains = blockpull::capi::handles_of(*conn, *found);
  }
  return static_cast<int>(found->size());
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
  const auto xml = answer_of<std::string>([&](auto answer) {
    blockpull::virt::xml_desc(domain->connection().virt(), domain->uuid(), flags, answer);
  });
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
