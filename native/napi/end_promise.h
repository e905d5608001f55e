// SPDX-License-Identifier: Apache-2.0
//
// A promise for the end of jobs. That can take as long as a disk takes, so no thread waits for it.
//
//     JavaScript thread   promise_of_end ──▶ promise      … settled by the dispatcher
//     any thread                 `when` calls back ─▶ post
//
// As with any task of the dispatcher, events that were posted before the end come first. If the
// environment ends before that, the promise is never settled. The environment is kept alive until
// the promise is settled.
//
// Thread rule: the JavaScript thread.

#pragma once

#include <functional>

#include <napi.h>

namespace blockpull::napi {

/// A promise without a value. `when` gets the function to call at the end: once, on any thread.
/// `first` runs before the promise is settled; it may be destroyed on any thread. nullptr if the
/// environment refuses.
[[nodiscard]] napi_value promise_of_end(
    napi_env env, const std::function<void(std::function<void()>)>& when,
    std::function<void()> first = [] {});

}  // namespace blockpull::napi
