// SPDX-License-Identifier: Apache-2.0
//
// The blocking calls of one environment, on threads of this package. libuv's pool has only four,
// and every file operation of the process needs them.
//
//     JavaScript thread   run(call) ──▶ threads of the process, for all environments
//     environment ends    close() ──▶ no call begins any more; waits for those that run
//
// A call may be done in steps. Between two steps it queues behind other callers' calls. A call that
// reads all tables or data may take minutes; it has a thread of its own, so that nobody waits for
// it.
//
// Thread rule: any thread; close() not from a call.

#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include "core/base/result.h"

namespace blockpull::napi {

class BlockingCalls : public std::enable_shared_from_this<BlockingCalls> {
 public:
  /// Calls `step` until it returns that it is done, or until close(). kIo if no threads can be
  /// started.
  [[nodiscard]] Result<void> run(std::function<bool()> step);

  /// The same for one long step. It gets a thread of its own while there are few of those,
  /// otherwise it runs as with run().
  [[nodiscard]] Result<void> run_alone(std::function<bool()> step);

  /// Waits for the steps that are running.
  void close();

 private:
  void take_step(const std::function<bool()>& step);

  std::mutex mutex_;
  std::condition_variable idle_;
  /// Steps that are running.
  int running_ = 0;
  bool is_closed_ = false;
};

}  // namespace blockpull::napi
