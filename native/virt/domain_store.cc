// SPDX-License-Identifier: Apache-2.0
//
// What the two kinds of stores share: libvirt's answers for domains that are not there, or there
// twice.

#include "virt/domain_store.h"

#include "core/base/text.h"

namespace blockpull::virt {

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
