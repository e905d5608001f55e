// SPDX-License-Identifier: Apache-2.0
//
// The blocking calls of one environment, on threads of this package: libuv's pool has four, which
// every file operation of the process needs.
//
//     JavaScript thread   run(call) ──▶ threads of the process, for all environments
//     environment ends    close() ──▶ none is begun any more; those under way are waited for
//
// A call may be done in steps. Between two of them it goes behind what others have asked for. One
// that goes through tables or data as a whole may take minutes: it has a thread of its own, so that
// nobody waits for it.
//
// Thread rule: any thread; close() not from a call.

#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include "core/base/result.h"

namespace blockpull::napi {

class Calls : public std::enable_shared_from_this<Calls> {
 public:
  /// `step` is called until it says that it is done, or until close(). kIo when there are no
  /// threads to be had.
  [[nodiscard]] Result<void> run(std::function<bool()> step);

  /// The same of one long step, on a thread of its own while there are few of them, and else as
  /// run().
  [[nodiscard]] Result<void> run_alone(std::function<bool()> step);

  /// Waits for the steps that are under way.
  void close();

 private:
  void take_step(const std::function<bool()>& step);

  std::mutex mutex_;
  std::condition_variable idle_;
  /// Steps under way.
  int running_ = 0;
  bool is_closed_ = false;
};

}  // namespace blockpull::napi
