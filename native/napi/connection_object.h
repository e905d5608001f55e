// SPDX-License-Identifier: Apache-2.0
//
// NativeConnection of lib/native.ts, and the function that opens one. No logic: each method reads
// its request, makes one call of native/virt on a thread of calls.h and converts what it gives. Two
// questions, info and speed, are asked of memory first and go to the pool only when memory does not
// know.
//
// Thread rule: the JavaScript thread.

#pragma once

#include <napi.h>

namespace blockpull::napi {

/// openConnection(request, onEvent)
[[nodiscard]] napi_value open_connection(napi_env env, napi_callback_info info);

}  // namespace blockpull::napi
