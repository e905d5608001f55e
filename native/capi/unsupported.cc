// SPDX-License-Identifier: Apache-2.0

#include "capi/unsupported.h"

#include "capi/last_error.h"

namespace blockpull::capi {
namespace {

void raise_in(virt::ErrorDomain domain, const char* function) {
  raise(virt::report(ErrorKind::kUnsupported, virt::ErrorCode::kNoSupport, domain, function));
}

}  // namespace

void raise_unsupported(const char* function) {
  raise_in(virt::ErrorDomain::kPublic, function);
}

}  // namespace blockpull::capi

void blockpull_raise_unsupported(const char* function) {
  blockpull::capi::raise_in(blockpull::virt::ErrorDomain::kNone, function);
}
