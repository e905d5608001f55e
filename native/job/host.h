// SPDX-License-Identifier: Apache-2.0
//
// What a work item may request from the thread that drives it. A thousand jobs share one such
// thread. A work item therefore never blocks on it: it makes a request and continues in the
// callback.
//
// Thread rule: everything but post() is called on the host's thread, and every callback runs there.
// `engine.h` is the real host; tests drive a pull with one that does everything in line on a fake
// clock.

#pragma once

#include <cstdint>
#include <functional>

#include "core/base/clock.h"
#include "core/io/buffer_arena.h"
#include "core/io/request.h"

namespace blockpull::job {

class Host {
 public:
  virtual ~Host() = default;

  [[nodiscard]] virtual io::RequestQueue& queue() = 0;
  [[nodiscard]] virtual io::BufferArena& buffers() = 0;
  [[nodiscard]] virtual const Clock& clock() const = 0;

  /// Runs `work` on one of a few threads that may block, then `done` on the host's thread.
  virtual void run_blocking(std::function<void()> work, std::function<void()> done) = 0;

  /// Calls `callback` once, at `when` or soon after. Returns a ticket for cancel_call().
  virtual std::uint64_t call_at(Nanoseconds when, std::function<void()> callback) = 0;
  virtual void cancel_call(std::uint64_t ticket) = 0;

  /// Calls `callback` on the host's thread. From any thread.
  virtual void post(std::function<void()> callback) = 0;
};

}  // namespace blockpull::job
