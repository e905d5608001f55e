// SPDX-License-Identifier: Apache-2.0
//
// Calls that may block, or that answer at any time, seen from JavaScript as promises.
//
//     JavaScript thread   start ──▶ promise                    … settled by the dispatcher
//     blocking_calls.h      work() ──▶ Result ─▶ post          a blocking call, in steps
//     any thread            call(done) … done(Result) ─▶ post  a call that answers
//
// A task of the dispatcher settles the promise, so that anything posted during the call, such as an
// event, comes first. A failure rejects with a plain record, which lib/results/errors.ts turns into
// an error.
//
// The conversion to JavaScript may need something that only this thread may destroy (a callback).
// It therefore stays here, with the environment, and the answer finds it by a number. An answer
// that comes after the environment's end finds nothing.
//
// Thread rule: the JavaScript thread.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include <napi.h>

#include "napi/environment.h"
#include "napi/results.h"
#include "virt/session/answer.h"

namespace blockpull::napi {

/// Converts the value of a call to JavaScript. Not called if the call failed.
template <typename T>
using Converter = std::function<napi_value(napi_env, T&)>;

/// The value of calls without a result.
struct Nothing {};

inline napi_value convert_nothing(napi_env env, Nothing& /*value*/) {
  return make_undefined(env);
}

inline virt::Result<Nothing> nothing(virt::Result<void> result) {
  return result.ok() ? virt::Result<Nothing>(Nothing{}) : std::move(result).error();
}

/// Creates a promise, and the answer that settles it. nullptr if the environment refuses, with an
/// exception pending.
template <typename T>
[[nodiscard]] virt::Answer<T> make_promise(napi_env env, Converter<T> convert,
                                           napi_value& promise) {
  auto& environment = Environment::of(env);
  napi_deferred deferred = nullptr;
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
  dispatcher->hold();
  return [dispatcher, ticket](virt::Result<T> result) {
    auto shared = std::make_shared<virt::Result<T>>(std::move(result));
    dispatcher->post([ticket, shared, dispatcher](napi_env run_env) {
      const auto kept = Environment::of(run_env).take_kept(ticket);
      if (kept != nullptr) {
        (*std::static_pointer_cast<Settle>(kept))(run_env, *shared);
      }
      dispatcher->release();
    });
  };
}

using RunCall = Result<void> (BlockingCalls::*)(std::function<bool()> step);

/// A call in steps. `step` gets the answer. It is called again, after other callers' calls, until
/// it returns that it is done. nullptr if the environment refuses, with an exception pending.
template <typename T>
[[nodiscard]] napi_value promise_of_steps(napi_env env, RunCall run,
                                          std::function<bool(const virt::Answer<T>&)> step,
                                          Converter<T> convert) {
  napi_value promise = nullptr;
  virt::Answer<T> answer = make_promise<T>(env, std::move(convert), promise);
  if (answer == nullptr) {
    return nullptr;
  }
  BlockingCalls& calls = *Environment::of(env).calls();
  const auto begun = (calls.*run)([step = std::move(step), answer] { return step(answer); });
  if (!begun.ok()) {
    answer(virt::plain(begun.error()));
  }
  return promise;
}

/// A call that answers at any time; it begins on a thread that may access files.
template <typename T>
[[nodiscard]] napi_value promise_of_answer(napi_env env, std::function<void(virt::Answer<T>)> call,
                                           Converter<T> convert) {
  const auto begin = [call = std::move(call)](const virt::Answer<T>& done) {
    call(done);
    return true;
  };
  return promise_of_steps<T>(env, &BlockingCalls::run, begin, std::move(convert));
}

/// A blocking call; if `work` returns nothing it is called again.
template <typename T>
[[nodiscard]] napi_value promise_of_work(napi_env env,
                                         std::function<std::optional<virt::Result<T>>()> work,
                                         Converter<T> convert) {
  const auto go_on = [work = std::move(work)](const virt::Answer<T>& done) {
    auto result = work();
    if (result) {
      done(*std::move(result));
    }
    return result.has_value();
  };
  return promise_of_steps<T>(env, &BlockingCalls::run, go_on, std::move(convert));
}

/// A blocking call that may read all tables of a chain.
template <typename T>
[[nodiscard]] napi_value promise_of_walk(napi_env env, std::function<virt::Result<T>()> walk,
                                         Converter<T> convert) {
  const auto go = [walk = std::move(walk)](const virt::Answer<T>& done) {
    done(walk());
    return true;
  };
  return promise_of_steps<T>(env, &BlockingCalls::run_alone, go, std::move(convert));
}

}  // namespace blockpull::napi
