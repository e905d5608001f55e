// SPDX-License-Identifier: Apache-2.0
//
// NativeConnection of lib/native.ts, and the function that opens one. No logic: each method reads
// its request, makes one call of native/virt/calls and converts the result. Calls that need no file
// are answered at once. Info and speed try memory first. The rest runs on the threads of
// blocking_calls.h.
//
// Thread rule: the JavaScript thread.

#pragma once

#include <napi.h>

namespace blockpull::napi {

/// openConnection(request, onEvent)
[[nodiscard]] napi_value open_connection(napi_env env, napi_callback_info info);

}  // namespace blockpull::napi
