// SPDX-License-Identifier: Apache-2.0
//
// A thread whose start may fail. std::thread aborts the process if the system has no thread to give
// (no memory, a limit of the user or the container), which ends everybody else's jobs too.
//
// A thread may still run while exit() destroys static objects. Objects that threads share for the
// life of the process are therefore static pointers to objects that are never destroyed.

#pragma once

#include <functional>
#include <memory>

#include <pthread.h>

#include "core/base/result.h"

namespace blockpull {

class Thread {
 public:
  /// Runs `body` on a thread of its own, which tools show as `name` (at most 15 characters). kIo if
  /// no thread can be started.
  [[nodiscard]] static Result<Thread> start(const char* name, std::function<void()> body);

  Thread(Thread&& other) noexcept : handle_(other.handle_), joinable_(other.joinable_) {
    other.joinable_ = false;
  }
  Thread& operator=(Thread&&) = delete;

  /// Waits for its end, unless it was detached.
  ~Thread();

  [[nodiscard]] bool is_current() const { return ::pthread_equal(handle_, ::pthread_self()) != 0; }

  /// The thread ends by itself, and nobody waits for it.
  void detach();

 private:
  explicit Thread(pthread_t handle) : handle_(handle) {}

  pthread_t handle_;
  bool joinable_ = true;
};

}  // namespace blockpull
