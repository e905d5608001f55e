// SPDX-License-Identifier: Apache-2.0
//
// How a call that may have to wait for a QEMU gives its result. QEMU answers when it likes, and a
// hundred that do not answer must not hold a hundred threads, so these calls return at once and
// call back: once, on this thread or any other. A binding makes of that what its language has, a
// promise or a thread that waits.

#pragma once

#include <functional>
#include <utility>

#include "virt/words/error_map.h"

namespace blockpull::virt {

template <typename T>
using Answer = std::function<void(Result<T>)>;

/// Whether a check has refused the call, which is answered then.
template <typename T>
[[nodiscard]] bool is_refused(Result<void> checked, const Answer<T>& answer) {
  if (!checked.ok()) {
    answer(std::move(checked).error());
  }
  return !checked.ok();
}

}  // namespace blockpull::virt
