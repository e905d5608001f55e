// SPDX-License-Identifier: Apache-2.0
//
// The queue behind the thread-safe function is unbounded, so no task is refused. It stays short
// because progress is posted once per interval, and everything else once per call or change.

#include "napi/dispatcher.h"

#include <utility>

#include "napi/results.h"

namespace blockpull::napi {
namespace {

/// `env` is absent if the environment ends with tasks still queued.
void run_task(napi_env env, napi_value /*callback*/, void* /*context*/, void* data) {
  const std::unique_ptr<Dispatcher::Task> task(static_cast<Dispatcher::Task*>(data));
  if (env != nullptr) {
    (*task)(env);
  }
}

}  // namespace

std::shared_ptr<Dispatcher> Dispatcher::create(napi_env env) {
  auto dispatcher = std::shared_ptr<Dispatcher>(new Dispatcher(env));
  constexpr std::size_t kUnbounded = 0;
  constexpr std::size_t kThreads = 1;
  const napi_status status = napi_create_threadsafe_function(
      env, nullptr, nullptr, make_text(env, "blockpull"), kUnbounded, kThreads, nullptr, nullptr,
      nullptr, &run_task, &dispatcher->function_);
  if (status != napi_ok || napi_unref_threadsafe_function(env, dispatcher->function_) != napi_ok) {
    return nullptr;
  }
  return dispatcher;
}

void Dispatcher::post(Task task) {
  auto queued = std::make_unique<Task>(std::move(task));
  const std::lock_guard lock(mutex_);
  if (function_ == nullptr) {
    return;
  }
  if (napi_call_threadsafe_function(function_, queued.get(), napi_tsfn_nonblocking) == napi_ok) {
    // The queue owns it now.
    static_cast<void>(queued.release());
  } else {
    // Only an ending environment refuses; the function must not be used after that.
    function_ = nullptr;
  }
}

void Dispatcher::hold() {
  const std::lock_guard lock(mutex_);
  if (holds_++ == 0 && function_ != nullptr) {
    napi_ref_threadsafe_function(env_, function_);
  }
}

void Dispatcher::release() {
  const std::lock_guard lock(mutex_);
  if (--holds_ == 0 && function_ != nullptr) {
    napi_unref_threadsafe_function(env_, function_);
  }
}

void Dispatcher::close() {
  const std::lock_guard lock(mutex_);
  if (function_ != nullptr) {
    napi_release_threadsafe_function(function_, napi_tsfn_abort);
    function_ = nullptr;
  }
}

}  // namespace blockpull::napi
