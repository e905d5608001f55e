// SPDX-License-Identifier: Apache-2.0
//
// A blocking call on libuv's pool, seen from JavaScript as a promise.
//
//     JavaScript thread   run_blocking ──▶ promise            … settled by the dispatcher
//     pool thread                     work() ──▶ Result ─▶ post
//
// For calls of a few file operations: jobs never come here, nor do waits for their ends
// (`end_promise.h`). The promise is settled by a task of the dispatcher, so that whatever was
// posted during the call, an event for example, is seen first. A failure rejects with the plain
// record that lib/errors.ts turns into an error. Work that was started runs to its end even when
// the environment ends meanwhile (Node waits for it); only its result is dropped.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include <napi.h>

#include "napi/convert.h"
#include "napi/dispatcher.h"

namespace blockpull::napi {

/// What a call comes to: how its value looks in JavaScript. Not called when it failed.
template <typename T>
using Converter = std::function<napi_value(napi_env, T&)>;

/// What calls without a result give.
struct Nothing {};

inline napi_value convert_nothing(napi_env env, Nothing& /*value*/) {
  return make_undefined(env);
}

inline virt::Result<Nothing> nothing(virt::Result<void> result) {
  return result.ok() ? virt::Result<Nothing>(Nothing{}) : std::move(result).error();
}

template <typename T>
class PromiseWorker {
 public:
  /// Absent: the work goes on, and is queued again behind what others have queued.
  using Work = std::function<std::optional<virt::Result<T>>()>;

  /// Starts the call. nullptr when the environment refuses; an exception is pending then.
  [[nodiscard]] static napi_value start(napi_env env, std::shared_ptr<Dispatcher> dispatcher,
                                        Work work, Converter<T> convert) {
    auto worker = std::shared_ptr<PromiseWorker>(new PromiseWorker);
    worker->dispatcher_ = std::move(dispatcher);
    worker->work_ = std::move(work);
    worker->convert_ = std::move(convert);
    napi_value promise = nullptr;
    if (napi_create_promise(env, &worker->deferred_, &promise) != napi_ok ||
        !worker->queue(env, worker)) {
      return nullptr;
    }
    worker->dispatcher_->hold();
    return promise;
  }

 private:
  PromiseWorker() = default;

  bool queue(napi_env env, std::shared_ptr<PromiseWorker> self) {
    if (napi_create_async_work(env, nullptr, make_text(env, "blockpull"), &execute, &complete, this,
                               &handle_) != napi_ok ||
        napi_queue_async_work(env, handle_) != napi_ok) {
      return false;
    }
    // Node has the only pointer until complete().
    self_ = std::move(self);
    return true;
  }

  /// On the pool's thread: touches nothing of JavaScript's.
  static void execute(napi_env /*env*/, void* data) {
    auto* const worker = static_cast<PromiseWorker*>(data);
    worker->result_ = worker->work_();
  }

  /// Whether JavaScript can still run: a terminated worker waits for work that is queued, for ever
  /// if it is queued for ever.
  static bool is_alive(napi_env env) {
    bool ignored = false;
    napi_value global = nullptr;
    return napi_get_global(env, &global) == napi_ok &&
           napi_has_named_property(env, global, "process", &ignored) == napi_ok;
  }

  static void complete(napi_env env, napi_status /*status*/, void* data) {
    auto worker = std::move(static_cast<PromiseWorker*>(data)->self_);
    napi_delete_async_work(env, worker->handle_);
    if (!worker->result_) {
      if (is_alive(env)) {
        static_cast<void>(worker->queue(env, worker));
      }
      return;
    }
    worker->work_ = nullptr;
    auto& dispatcher = *worker->dispatcher_;
    dispatcher.post([worker = std::move(worker)](napi_env run_env) { worker->settle(run_env); });
  }

  void settle(napi_env env) {
    if (result_->ok()) {
      napi_resolve_deferred(env, deferred_, convert_(env, result_->value()));
    } else {
      napi_reject_deferred(env, deferred_, make_failure(env, result_->error()));
    }
    dispatcher_->release();
  }

  std::shared_ptr<Dispatcher> dispatcher_;
  std::shared_ptr<PromiseWorker> self_;
  Work work_;
  Converter<T> convert_;
  napi_async_work handle_ = nullptr;
  napi_deferred deferred_ = nullptr;
  std::optional<virt::Result<T>> result_;
};

}  // namespace blockpull::napi
