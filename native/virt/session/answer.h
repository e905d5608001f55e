// SPDX-License-Identifier: Apache-2.0
//
// How a call that may have to wait for a QEMU gives its result. A QEMU may take any time to answer,
// and a hundred silent ones must not hold a hundred threads. These calls therefore return at once
// and call back exactly once, on this thread or another. The bindings turn that into a promise, or
// into a thread that waits.

#pragma once

#include <functional>
#include <utility>

#include "virt/words/error_map.h"

namespace blockpull::virt {

template <typename T>
using Answer = std::function<void(Result<T>)>;

/// Whether a check refused the call. If so, the call has been answered with that refusal.
template <typename T>
[[nodiscard]] bool is_refused(Result<void> checked, const Answer<T>& done) {
  if (!checked.ok()) {
    done(std::move(checked).error());
  }
  return !checked.ok();
}

}  // namespace blockpull::virt
