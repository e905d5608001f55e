// SPDX-License-Identifier: Apache-2.0
//
// The shape of every function of the shim:
//
//     const Call call("virDomainBlockPull");                     the last error is cleared
//     if (!call.takes(dom) || !call.has(disk, "disk")) {         handle, then arguments
//       return -1;                                               (the check has raised the error)
//     }
//     return call.status(answer_of<...>(...));                   native/virt does the work
//
// A failed check has raised its error: it is the thread's last error, and the program's handler was
// called with it.

#pragma once

#include <string_view>
#include <utility>

#include "capi/last_error.h"
#include "capi/process.h"

namespace blockpull::capi {

class Call {
 public:
  /// `function` is a literal: its name in C.
  explicit Call(const char* function) : function_(function) { virResetLastError(); }

  /// False, with the error raised, in a child of fork().
  [[nodiscard]] bool may_begin() const;

  /// Whether `handle` is valid and calls may be made on it. `domain` is the error domain in which
  /// libvirt checks that connection.
  [[nodiscard]] bool takes(const ConnectionHandle* handle,
                           virt::ErrorDomain domain = virt::ErrorDomain::kPublic) const;
  [[nodiscard]] bool takes(const DomainHandle* handle) const;

  /// Whether the connection is not read-only. This is checked here as well as in virt/calls, since
  /// libvirt refuses a read-only connection before a null argument.
  [[nodiscard]] bool may_write(const ConnectionHandle* handle) const;
  [[nodiscard]] bool may_write(const DomainHandle* handle) const;

  /// Whether `argument` is not null.
  [[nodiscard]] bool has(const void* argument, const char* name) const;

  /// 0, or -1 with the error raised.
  template <typename T>
  [[nodiscard]] int status(const virt::Result<T>& result) const {
    return succeeded(result) ? 0 : -1;
  }

  /// Whether there is a value; raises the error if there is none.
  template <typename T>
  [[nodiscard]] bool succeeded(const virt::Result<T>& result) const {
    if (!result.ok()) {
      raise(result.error());
    }
    return result.ok();
  }

  [[nodiscard]] const char* function() const { return function_; }

 private:
  const char* function_;
};

}  // namespace blockpull::capi
