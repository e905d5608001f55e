// SPDX-License-Identifier: Apache-2.0
//
// The object behind NativeWalk of lib/native.ts: a watch over one call. It is created before the
// call, so that the call can be given up and its progress read while it runs. It sends nothing by
// itself; JavaScript asks.
//
// Thread rule: the JavaScript thread.

#pragma once

#include <optional>

#include <napi.h>

#include "core/base/walk_watch.h"

namespace blockpull::napi {

/// The result of `newWalk()`.
[[nodiscard]] napi_value make_walk_object(napi_env env);

/// The watch of an argument. Absent, with a TypeError pending, if it is none.
[[nodiscard]] std::optional<WalkWatch> read_walk(napi_env env, napi_value value);

}  // namespace blockpull::napi
