// SPDX-License-Identifier: Apache-2.0
//
// The way from any thread to JavaScript: one thread-safe function for a whole environment, which
// runs tasks one after another on the environment's event loop.
//
// One, not one per job: tasks then run in the order in which they were posted, whoever posted them
// (an event before the reply of the call that caused it), and a thousand jobs do not make a
// thousand handles for the loop to look through. It keeps the process alive only while somebody
// holds it.
//
// A task that finds the environment ending is dropped without running; it must not need to run, and
// what it captures must be destructible on any thread (weak pointers to whatever holds JavaScript
// references).
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

  /// nullptr when the environment refuses; an exception is pending then.
  [[nodiscard]] static std::shared_ptr<Dispatcher> create(napi_env env);

  /// Runs `task` on the event loop, soon.
  void post(Task task);

  /// The process stays alive as long as there are more holds than releases.
  void hold();
  void release();

  /// Drops everything from now on. Called when the environment ends.
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
