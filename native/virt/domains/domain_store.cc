// SPDX-License-Identifier: Apache-2.0
//
// Shared by both kinds of stores: libvirt's answers for domains that do not exist, or exist twice.

#include "virt/domains/domain_store.h"

#include <cstddef>
#include <map>

#include "core/base/text.h"

namespace blockpull::virt {

Result<std::vector<Domain>> DomainStore::list() {
  BLOCKPULL_TRY(listed, list_all());
  std::vector<Domain> domains;
  for (ListedDomain& each : listed) {
    if (each.error) {
      return *std::move(each.error);
    }
    domains.push_back(std::move(each.domain));
  }
  return domains;
}

Failure twin_domains(const Domain& one, const Domain& other) {
  return report(ErrorKind::kInvalidArgument, ErrorCode::kXmlError, ErrorDomain::kPublic,
                text("domain '", one.name, "' and domain '", other.name, "' have the same uuid, ",
                     one.uuid, "; give each its own"));
}

void refuse_twins(std::vector<ListedDomain>& listed) {
  std::map<std::string, std::size_t> known;
  for (std::size_t i = 0; i < listed.size(); ++i) {
    if (listed[i].error) {
      continue;
    }
    const auto [first, is_new] = known.emplace(listed[i].domain.uuid, i);
    if (!is_new) {
      ListedDomain& twin = listed[first->second];
      listed[i].error = twin_domains(twin.domain, listed[i].domain);
      twin.error = listed[i].error;
    }
  }
}

Failure no_domain_named(std::string_view name) {
  return report(ErrorKind::kNoDomain, text("no domain with matching name '", name, "'"));
}

Failure no_domain_with(std::string_view uuid) {
  return report(ErrorKind::kNoDomain, text("no domain with matching uuid '", uuid, "'"));
}

Result<void> check_redefinition(const Domain& defined, const Domain& known) {
  if (known.name == defined.name && known.uuid != defined.uuid) {
    return report(ErrorKind::kInvalidArgument, ErrorCode::kOperationFailed, ErrorDomain::kQemu,
                  text("domain '", known.name, "' already exists with uuid ", known.uuid));
  }
  if (known.name != defined.name && known.uuid == defined.uuid) {
    return report(ErrorKind::kInvalidArgument, ErrorCode::kOperationFailed, ErrorDomain::kQemu,
                  text("domain '", known.name, "' is already defined with uuid ", known.uuid));
  }
  return {};
}

}  // namespace blockpull::virt
