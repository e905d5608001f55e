// SPDX-License-Identifier: Apache-2.0
//
// libvirt's calls on domains: their flags, and what the entry points refuse.
//
// Thread rule: any thread; a call may block for file operations.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "virt/calls/connect.h"

namespace blockpull::virt {

using FoundDomains = std::vector<FoundDomain>;

/// virConnectListAllDomains: all, or those that the flags name. 8 for a flag that is not served.
void list_all_domains(const std::shared_ptr<Connect>& connect, Flags flags,
                      const Answer<FoundDomains>& done);

/// virDomainLookupByName.
void lookup_by_name(const std::shared_ptr<Connect>& connect, const std::string& name,
                    const Answer<FoundDomain>& done);

/// virDomainLookupByUUIDString: with hyphens or without, in capitals or not. 8 for what is no UUID.
void lookup_by_uuid(const std::shared_ptr<Connect>& connect, const std::string& uuid,
                    const Answer<FoundDomain>& done);

/// virDomainDefineXML.
void define_xml(const std::shared_ptr<Connect>& connect, const std::string& xml,
                const Answer<FoundDomain>& done);

/// virDomainGetXMLDesc: the XML as it is, since libvirt's four flags make no difference to a file.
/// 29 for VIR_DOMAIN_XML_SECURE on a read-only connection.
void xml_desc(const std::shared_ptr<Connect>& connect, const std::string& uuid, Flags flags,
              const Answer<std::string>& done);

/// The disks of a domain; libvirt has them in the XML alone.
void list_disks(const std::shared_ptr<Connect>& connect, const std::string& uuid,
                Answer<std::vector<Disk>> done);

}  // namespace blockpull::virt
