// SPDX-License-Identifier: Apache-2.0

#include "capi/unsupported.h"

#include "capi/last_error.h"

namespace blockpull::capi {

void raise_unsupported(const char* function) {
  raise(virt::report(ErrorKind::kUnsupported, virt::ErrorCode::kNoSupport,
                     virt::ErrorDomain::kPublic, function));
}

}  // namespace blockpull::capi
