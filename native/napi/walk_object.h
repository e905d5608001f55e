// SPDX-License-Identifier: Apache-2.0
//
// The object behind NativeWalk of lib/native.ts: a watch over one call, made before it, so that it
// can be given up and looked at while it runs. It says nothing by itself; JavaScript asks.
//
// Thread rule: the JavaScript thread.

#pragma once

#include <optional>

#include <napi.h>

#include "core/base/walk_watch.h"

namespace blockpull::napi {

/// What `newWalk()` gives.
[[nodiscard]] napi_value make_walk_object(napi_env env);

/// The watch of an argument. Absent: it is none, and a TypeError is pending.
[[nodiscard]] std::optional<WalkWatch> read_walk(napi_env env, napi_value value);

}  // namespace blockpull::napi
