// SPDX-License-Identifier: Apache-2.0

#include "napi/end_promise.h"

#include <memory>
#include <utility>

#include "napi/environment.h"
#include "napi/results.h"

namespace blockpull::napi {

napi_value promise_of_end(napi_env env, const std::function<void(std::function<void()>)>& when,
                          std::function<void()> first) {
  napi_deferred deferred = nullptr;
  napi_value promise = nullptr;
  if (napi_create_promise(env, &deferred, &promise) != napi_ok) {
    return nullptr;
  }
  const auto& dispatcher = Environment::of(env).dispatcher();
  dispatcher->hold();
  when([dispatcher, deferred, first = std::move(first)] {
    dispatcher->post([dispatcher, deferred, first](napi_env run_env) {
      first();
      napi_resolve_deferred(run_env, deferred, make_undefined(run_env));
      dispatcher->release();
    });
  });
  return promise;
}

}  // namespace blockpull::napi
