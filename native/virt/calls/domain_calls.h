// SPDX-License-Identifier: Apache-2.0
//
// libvirt's calls on domains: their flags, and the refusals of the entry points.
//
// Thread rule: any thread; a call may block for file operations.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "virt/calls/connect.h"

namespace blockpull::virt {

using FoundDomains = std::vector<FoundDomain>;

/// virConnectListAllDomains: all domains, or those that the flags select. 8 for an unsupported
/// flag.
void list_all_domains(const std::shared_ptr<Connect>& connect, Flags flags,
                      const Answer<FoundDomains>& done);

/// virDomainLookupByName.
void lookup_by_name(const std::shared_ptr<Connect>& connect, const std::string& name,
                    const Answer<FoundDomain>& done);

/// virDomainLookupByUUIDString: hyphens and letter case do not matter. 8 if `uuid` is not a UUID.
void lookup_by_uuid(const std::shared_ptr<Connect>& connect, const std::string& uuid,
                    const Answer<FoundDomain>& done);

/// virDomainDefineXML.
void define_xml(const std::shared_ptr<Connect>& connect, const std::string& xml,
                const Answer<FoundDomain>& done);

/// virDomainGetXMLDesc: the XML as it is stored; libvirt's four flags make no difference here. 29
/// for VIR_DOMAIN_XML_SECURE on a read-only connection.
void xml_desc(const std::shared_ptr<Connect>& connect, const std::string& uuid, Flags flags,
              const Answer<std::string>& done);

/// The disks of a domain, for which libvirt has no call of its own: it gives them in the XML.
void list_disks(const std::shared_ptr<Connect>& connect, const std::string& uuid,
                Answer<std::vector<Disk>> done);

}  // namespace blockpull::virt
