// SPDX-License-Identifier: Apache-2.0
//
// The start of a call that has to wait for a domain's QEMU. It gets the monitor; from then on the
// end of the connection answers the call too (open_calls.h).
//
// Thread rule: any thread.

#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "virt/session/answer.h"
#include "virt/session/connection.h"

namespace blockpull::virt {

/// Wraps `done` so that a late call of it is ignored. Returns nullptr if the connection is closed
/// or there is no monitor; the call has then been answered. `function` is the public name of the
/// call, a literal.
template <typename T>
[[nodiscard]] std::shared_ptr<qmp::Monitor> begin_waiting(Connection& connection,
                                                          const Domain& domain,
                                                          std::string_view function,
                                                          Answer<T>& done) {
  if (is_refused(connection.check_open(function), done)) {
    return nullptr;
  }
  auto monitor = connection.monitor_of(domain);
  if (!monitor.ok()) {
    done(std::move(monitor).error());
    return nullptr;
  }
  done = connection.open_calls().guard(function, std::move(done));
  return std::move(monitor).value();
}

}  // namespace blockpull::virt
