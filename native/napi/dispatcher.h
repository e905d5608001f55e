// SPDX-License-Identifier: Apache-2.0
//
// The way from any thread to JavaScript: one thread-safe function for a whole environment, which
// runs tasks one after another on the environment's event loop.
//
// There is one, not one per job. Tasks then run in the order in which they were posted, by whatever
// thread (an event before the reply of the call that caused it). A thousand jobs do not make a
// thousand handles for the loop to check. It keeps the process alive only while somebody holds it.
//
// If the environment is ending, a task is dropped without running. A task must therefore not need
// to run, and what it captures must be destructible on any thread (weak pointers to objects that
// hold JavaScript references).
//
// Thread rule: post() from any thread; everything else on the JavaScript thread.

#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include <napi.h>

namespace blockpull::napi {

class Dispatcher {
 public:
  using Task = std::function<void(napi_env)>;

  /// nullptr if the environment refuses, with an exception pending.
  [[nodiscard]] static std::shared_ptr<Dispatcher> create(napi_env env);

  /// Runs `task` on the event loop soon.
  void post(Task task);

  /// The process stays alive while there are more holds than releases.
  void hold();
  void release();

  /// Drops all tasks from now on. Called when the environment ends.
  void close();

 private:
  explicit Dispatcher(napi_env env) : env_(env) {}

  const napi_env env_;
  /// JavaScript thread only.
  int holds_ = 0;
  /// Guards function_, which is nullptr after close().
  std::mutex mutex_;
  napi_threadsafe_function function_ = nullptr;
};

}  // namespace blockpull::napi
