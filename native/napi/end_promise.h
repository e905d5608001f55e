// SPDX-License-Identifier: Apache-2.0
//
// A promise for the end of jobs. To wait for one can take as long as its disk takes, so no thread
// does.
//
//     JavaScript thread   promise_of_end ──▶ promise      … settled by the dispatcher
//     any thread                 `when` calls back ─▶ post
//
// As with any task of the dispatcher, events that were posted before the end are seen first, and an
// environment that ends meanwhile leaves the promise as it is. It is kept alive until then.
//
// Thread rule: the JavaScript thread.

#pragma once

#include <functional>

#include <napi.h>

namespace blockpull::napi {

/// A promise without a value. `when` is handed what to call at the end: once, on any thread.
/// `first` runs before the promise is settled; it may be destroyed on any thread. nullptr when the
/// environment refuses.
[[nodiscard]] napi_value promise_of_end(
    napi_env env, const std::function<void(std::function<void()>)>& when,
    std::function<void()> first = [] {});

}  // namespace blockpull::napi
