// SPDX-License-Identifier: Apache-2.0
//
// The interval is short enough for a progress bar to look alive; a shorter one would only take time
// on the event loop.

#include "napi/progress_ticker.h"

namespace blockpull::napi {
namespace {

constexpr Nanoseconds kInterval{100'000'000};

}  // namespace

void ProgressTicker::start(job::Engine& engine) {
  is_wanted_ = true;
  if (!is_beating_.exchange(true)) {
    engine.post([self = shared_from_this(), &engine] { self->schedule(engine); });
  }
}

void ProgressTicker::schedule(job::Engine& engine) {
  engine.call_at(engine.clock().now() + kInterval,
                 [self = shared_from_this(), &engine] { self->beat(engine); });
}

void ProgressTicker::beat(job::Engine& engine) {
  if (!is_wanted_) {
    is_beating_ = false;
    // start() may have run between the two lines above and left the timer to us.
    if (!is_wanted_ || is_beating_.exchange(true)) {
      return;
    }
  }
  if (!is_posted_.exchange(true)) {
    dispatcher_->post([weak = weak_from_this()](napi_env env) {
      if (const auto self = weak.lock()) {
        self->is_posted_ = false;
        self->on_beat_(env);
      }
    });
  }
  schedule(engine);
}

}  // namespace blockpull::napi
