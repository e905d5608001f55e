// SPDX-License-Identifier: Apache-2.0
//
// The clock of progress reports. While jobs run, one task per interval is posted to JavaScript,
// which checks all of them. No beat is posted while an earlier one is still queued, so a busy event
// loop gets one when it is free, not a backlog.
//
// The timer is the engine's, so its callbacks run there. They hold this object, never the engine.
//
// Thread rule: start() and stop() on the JavaScript thread.

#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "job/engine.h"
#include "napi/dispatcher.h"

namespace blockpull::napi {

class ProgressTicker : public std::enable_shared_from_this<ProgressTicker> {
 public:
  /// `on_beat` runs on the JavaScript thread.
  ProgressTicker(std::shared_ptr<Dispatcher> dispatcher, Dispatcher::Task on_beat)
      : dispatcher_(std::move(dispatcher)), on_beat_(std::move(on_beat)) {}

  /// Beats from now on, if it does not yet. The engine must live until the ticker has stopped.
  void start(job::Engine& engine);

  /// At most one more beat begins after this.
  void stop() { is_wanted_ = false; }

 private:
  void schedule(job::Engine& engine);
  void beat(job::Engine& engine);

  const std::shared_ptr<Dispatcher> dispatcher_;
  const Dispatcher::Task on_beat_;
  std::atomic<bool> is_wanted_{false};
  /// Whether a timer is set.
  std::atomic<bool> is_beating_{false};
  /// Whether a beat is queued for JavaScript.
  std::atomic<bool> is_posted_{false};
};

}  // namespace blockpull::napi
