// SPDX-License-Identifier: Apache-2.0
//
// The shape that every function of the shim has:
//
//     const Call call("virDomainBlockPull");                     the last error is forgotten
//     if (!call.takes(dom) || !call.has(disk, "disk")) {         handle, then arguments
//       return -1;                                               (the check has said why)
//     }
//     return call.status(answer_of<...>(...));                   native/virt does the work
//
// A check that fails has raised its error: it is the thread's last error, and the program's handler
// has heard of it.

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

  /// False, and said so, in a child of fork().
  [[nodiscard]] bool may_begin() const;

  /// Whether `handle` is one, and calls may be made on it. `domain` is where libvirt says that
  /// connection is checked.
  [[nodiscard]] bool takes(const ConnectionHandle* handle,
                           virt::ErrorDomain domain = virt::ErrorDomain::kPublic) const;
  [[nodiscard]] bool takes(const DomainHandle* handle) const;

  /// Whether the connection is not read-only. Asked here as well as in virt/calls, since libvirt
  /// refuses a read-only connection before a null argument.
  [[nodiscard]] bool may_write(const ConnectionHandle* handle) const;
  [[nodiscard]] bool may_write(const DomainHandle* handle) const;

  /// Whether `argument` is not null.
  [[nodiscard]] bool has(const void* argument, const char* name) const;

  /// 0, or -1 with the error raised.
  template <typename T>
  [[nodiscard]] int status(const virt::Result<T>& result) const {
    return succeeded(result) ? 0 : -1;
  }

  /// Whether there is a value; raises the error where there is none.
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
