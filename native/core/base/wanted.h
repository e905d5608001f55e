// SPDX-License-Identifier: Apache-2.0
//
// How a long call is given up: between its parts it asks whether anybody still wants the result.
//
// Thread rule: that of the call; the function that answers may be called from any thread.

#pragma once

#include <functional>

#include "core/base/result.h"

namespace blockpull {

/// Called every few milliseconds.
using IsWanted = std::function<bool()>;

/// kCancelled if `is_wanted` returns false.
[[nodiscard]] inline Result<void> check_wanted(const IsWanted& is_wanted) {
  if (is_wanted()) {
    return {};
  }
  return make_error(ErrorKind::kCancelled, "call was cancelled before it finished");
}

}  // namespace blockpull
