// SPDX-License-Identifier: Apache-2.0
//
// A call that answers when it likes, seen from JavaScript as a promise. It begins on libuv's pool,
// where it may look at files, and its answer may come much later from any thread: nobody waits.
//
//     JavaScript thread   start ──▶ promise                    … settled by the dispatcher
//     pool thread              call(answer)
//     any thread                        answer(Result) ─▶ post
//
// How the value looks in JavaScript may need what only this thread may destroy (a callback), so
// that stays here, with the environment, and the answer finds it by a number. One that comes after
// the environment's end finds nothing.
//
// Thread rule: the JavaScript thread.

#pragma once

#include <functional>
#include <memory>
#include <utility>

#include <napi.h>

#include "napi/environment.h"
#include "napi/promise_worker.h"
#include "virt/answer.h"

namespace blockpull::napi {

/// Begins `call` on the pool. nullptr when the environment refuses; an exception is pending then.
template <typename T>
[[nodiscard]] napi_value promise_of_answer(napi_env env, std::function<void(virt::Answer<T>)> call,
                                           Converter<T> convert) {
  auto& environment = Environment::of(env);
  napi_deferred deferred = nullptr;
  napi_value promise = nullptr;
  if (napi_create_promise(env, &deferred, &promise) != napi_ok) {
    return nullptr;
  }
  using Settle = std::function<void(napi_env, virt::Result<T>&)>;
  const auto settle = std::make_shared<Settle>(
      [deferred, convert = std::move(convert)](napi_env run_env, virt::Result<T>& result) {
        if (result.ok()) {
          napi_resolve_deferred(run_env, deferred, convert(run_env, result.value()));
        } else {
          napi_reject_deferred(run_env, deferred, make_failure(run_env, result.error()));
        }
      });
  const std::uint64_t ticket = environment.keep_until_answer(settle);
  const auto& dispatcher = environment.dispatcher();
  virt::Answer<T> answer = [dispatcher, ticket](virt::Result<T> result) {
    auto shared = std::make_shared<virt::Result<T>>(std::move(result));
    dispatcher->post([ticket, shared, dispatcher](napi_env run_env) {
      const auto kept = Environment::of(run_env).take_kept(ticket);
      if (kept != nullptr) {
        (*std::static_pointer_cast<Settle>(kept))(run_env, *shared);
      }
      dispatcher->release();
    });
  };
  dispatcher->hold();
  // The promise of the beginning is for nobody: what matters is the answer.
  const napi_value begun = PromiseWorker<Nothing>::start(
      env, dispatcher,
      [call = std::move(call), answer = std::move(answer)]() -> virt::Result<Nothing> {
        call(answer);
        return Nothing{};
      },
      &convert_nothing);
  return begun == nullptr ? nullptr : promise;
}

}  // namespace blockpull::napi
