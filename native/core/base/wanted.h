// SPDX-License-Identifier: Apache-2.0
//
// How a call that takes long is given up: between its parts it asks whether anybody still waits.
//
// Thread rule: the call's; what answers may be called from any thread.

#pragma once

#include <functional>

#include "core/base/result.h"

namespace blockpull {

/// Asked every few milliseconds.
using IsWanted = std::function<bool()>;

/// kCancelled once it is not.
[[nodiscard]] inline Result<void> check_wanted(const IsWanted& is_wanted) {
  if (is_wanted()) {
    return {};
  }
  return make_error(ErrorKind::kCancelled, "call was given up before its end");
}

}  // namespace blockpull
