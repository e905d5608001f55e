// SPDX-License-Identifier: Apache-2.0

#include "virt/calls/domain_calls.h"

#include <utility>

#include "virt/domains/uuid.h"
#include "virt/session/checks.h"

namespace blockpull::virt {
namespace {

constexpr Flags kXmlFlags =
    flag::kXmlSecure | flag::kXmlInactive | flag::kXmlUpdateCpu | flag::kXmlMigratable;
constexpr Flags kListFlags = flag::kListActive | flag::kListInactive;

void number(Connect& connect, FoundDomain& found) {
  const bool is_running = found.state == DomainState::kRunning;
  found.id = connect.ids().found(found.domain.uuid, is_running);
}

/// Passes the answer on, after giving the domain its id.
Answer<FoundDomain> numbered(const std::shared_ptr<Connect>& connect,
                             const Answer<FoundDomain>& done) {
  return [connect, done](Result<FoundDomain> found) {
    if (found.ok()) {
      number(*connect, *found);
    }
    done(std::move(found));
  };
}

bool is_wanted(const FoundDomain& domain, Flags flags) {
  const bool is_inactive = domain.state == DomainState::kShutoff;
  return flags == 0 || (flags & (is_inactive ? flag::kListInactive : flag::kListActive)) != 0;
}

Result<void> check_xml_call(const HypervisorDriver& driver, Flags flags) {
  BLOCKPULL_CHECK(driver.check_open("virDomainGetXMLDesc"));
  if (driver.is_read_only() && (flags & flag::kXmlSecure) != 0) {
    return report(ErrorKind::kReadOnly, ErrorCode::kOperationDenied, ErrorDomain::kPublic,
                  "virDomainGetXMLDesc with secure flag");
  }
  return check_flags(flags, kXmlFlags, "qemuDomainGetXMLDesc");
}

Result<void> check_list_call(const HypervisorDriver& driver, Flags flags) {
  BLOCKPULL_CHECK(driver.check_open("virConnectListAllDomains"));
  return check_flags(flags, kListFlags, "qemuConnectListAllDomains");
}

}  // namespace

void list_all_domains(const std::shared_ptr<Connect>& connect, Flags flags,
                      const Answer<FoundDomains>& done) {
  if (is_refused(check_list_call(connect->driver(), flags), done)) {
    return;
  }
  connect->driver().list_domains([connect, flags, done](Result<FoundDomains> domains) {
    if (domains.ok()) {
      std::erase_if(*domains, [flags](const FoundDomain& each) { return !is_wanted(each, flags); });
      for (FoundDomain& each : *domains) {
        number(*connect, each);
      }
    }
    done(std::move(domains));
  });
}

void lookup_by_name(const std::shared_ptr<Connect>& connect, const std::string& name,
                    const Answer<FoundDomain>& done) {
  if (is_refused(connect->driver().check_open("virDomainLookupByName"), done)) {
    return;
  }
  connect->driver().lookup_name(name, numbered(connect, done));
}

void lookup_by_uuid(const std::shared_ptr<Connect>& connect, const std::string& uuid,
                    const Answer<FoundDomain>& done) {
  constexpr const char* kFunction = "virDomainLookupByUUIDString";
  if (is_refused(connect->driver().check_open(kFunction), done)) {
    return;
  }
  const auto canonical = parse_uuid(uuid);
  if (!canonical) {
    done(argument_check(ErrorDomain::kPublic, {kFunction, "uuidstr"}, "Invalid UUID"));
    return;
  }
  connect->driver().lookup_uuid(*canonical, numbered(connect, done));
}

void define_xml(const std::shared_ptr<Connect>& connect, const std::string& xml,
                const Answer<FoundDomain>& done) {
  if (is_refused(connect->check_may_change("virDomainDefineXML"), done)) {
    return;
  }
  connect->driver().define_xml(xml, numbered(connect, done));
}

void xml_desc(const std::shared_ptr<Connect>& connect, const std::string& uuid, Flags flags,
              const Answer<std::string>& done) {
  if (is_refused(check_xml_call(connect->driver(), flags), done)) {
    return;
  }
  connect->driver().domain_xml(uuid, done);
}

void list_disks(const std::shared_ptr<Connect>& connect, const std::string& uuid,
                Answer<std::vector<Disk>> done) {
  if (is_refused(connect->driver().check_open("listDisks"), done)) {
    return;
  }
  connect->driver().list_disks(uuid, std::move(done));
}

}  // namespace blockpull::virt
