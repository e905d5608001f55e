// SPDX-License-Identifier: Apache-2.0
//
// The functions of NativeBinding in lib/native.ts for bare image files. No logic: each reads its
// request, makes one call of native/virt on a thread of blocking_calls.h and converts the result.
//
// Thread rule: the JavaScript thread.

#pragma once

#include <napi.h>

namespace blockpull::napi {

/// Adds the functions to `exports`. False with an exception pending.
[[nodiscard]] bool define_image_functions(napi_env env, napi_value exports);

}  // namespace blockpull::napi
