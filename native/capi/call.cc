// SPDX-License-Identifier: Apache-2.0

#include "capi/call.h"

#include <string>

#include "capi/handles.h"
#include "core/base/text.h"

namespace blockpull::capi {

bool Call::may_begin() const {
  return succeeded(Process::get().check_not_forked(function_));
}

bool Call::takes(const ConnectionHandle* handle, virt::ErrorDomain domain) const {
  if (!may_begin()) {
    return false;
  }
  if (handle == nullptr || !handle->is_valid()) {
    raise(virt::report(ErrorKind::kInvalidArgument, virt::ErrorCode::kInvalidConn, domain,
                       function_));
    return false;
  }
  return true;
}

bool Call::takes(const DomainHandle* handle) const {
  if (!may_begin()) {
    return false;
  }
  if (handle == nullptr || !handle->is_valid()) {
    raise(virt::report(ErrorKind::kInvalidArgument, virt::ErrorCode::kInvalidDomain,
                       virt::ErrorDomain::kDom, function_));
    return false;
  }
  return true;
}

bool Call::may_write(const ConnectionHandle* handle) const {
  return succeeded(handle->virt()->check_may_change(function_));
}

bool Call::may_write(const DomainHandle* handle) const {
  return may_write(&handle->connection());
}

bool Call::has(const void* argument, const char* name) const {
  if (argument == nullptr) {
    raise(virt::argument_check(virt::ErrorDomain::kPublic, {function_, name},
                               text(name, " in ", function_, " must not be NULL")));
  }
  return argument != nullptr;
}

}  // namespace blockpull::capi
