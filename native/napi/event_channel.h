// SPDX-License-Identifier: Apache-2.0
//
// What is sent to JavaScript without a call. An EventChannel is a callback that takes records. A
// JobChannel reports the course of one job to such a callback:
//
//     attach ─▶ progress ─▶ outcome, once ─▶ nothing
//               └─ the latest value, if it changed, ten times a second
//
// Nothing is sent before the promise that returns the job has been settled; an earlier outcome
// waits. A running job keeps the process alive from attach to its outcome, unless JavaScript unrefs
// it.
//
// Thread rule: the JavaScript thread. Other threads hold weak pointers and post to the dispatcher.

#pragma once

#include <memory>
#include <optional>

#include <napi.h>

#include "job/job.h"
#include "napi/dispatcher.h"

namespace blockpull::napi {

class EventChannel {
 public:
  EventChannel(napi_env env, napi_value callback);

  /// Calls back with `argument`. An exception of the callback becomes an uncaught exception.
  void send(napi_value argument);

  /// Releases the callback; nothing more is sent.
  void close() { callback_.Reset(); }

  [[nodiscard]] bool is_open() const { return !callback_.IsEmpty(); }

 private:
  const napi_env env_;
  Napi::FunctionReference callback_;
};

class JobChannel : public std::enable_shared_from_this<JobChannel> {
 public:
  JobChannel(napi_env env, napi_value callback, std::shared_ptr<Dispatcher> dispatcher);

  void attach(std::shared_ptr<job::Job> job);

  /// Sends progress if it has changed.
  void tick();
  void finish(const job::Outcome& outcome);

  /// The environment ends.
  void close();

  [[nodiscard]] bool is_over() const { return !events_.is_open(); }

  void ref();
  void unref();

  /// To be called after attach.
  [[nodiscard]] job::Job& job() const { return *job_; }

 private:
  const napi_env env_;
  EventChannel events_;
  const std::shared_ptr<Dispatcher> dispatcher_;
  std::shared_ptr<job::Job> job_;
  std::optional<job::Outcome> early_;
  std::optional<job::Progress> last_;
  bool is_holding_ = false;
};

}  // namespace blockpull::napi
