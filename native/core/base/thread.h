// SPDX-License-Identifier: Apache-2.0
//
// A thread that may be refused. std::thread ends the process where the system has no thread to give
// (no memory, a limit of the user or the container), and with it everybody else's jobs.
//
// A thread may still run while exit() destroys what is static. So what threads share for as long as
// the process lives is a static pointer to what nobody destroys.

#pragma once

#include <functional>
#include <memory>

#include <pthread.h>

#include "core/base/result.h"

namespace blockpull {

class Thread {
 public:
  /// Runs `body` on a thread of its own, which tools show as `name` (at most 15 characters). kIo
  /// when there is no thread to be had.
  [[nodiscard]] static Result<Thread> start(const char* name, std::function<void()> body);

  Thread(Thread&& other) noexcept : handle_(other.handle_), joinable_(other.joinable_) {
    other.joinable_ = false;
  }
  Thread& operator=(Thread&&) = delete;

  /// Waits for its end, unless it was left to itself.
  ~Thread();

  [[nodiscard]] bool is_current() const { return ::pthread_equal(handle_, ::pthread_self()) != 0; }

  /// It ends by itself, and nobody waits for it.
  void detach();

 private:
  explicit Thread(pthread_t handle) : handle_(handle) {}

  pthread_t handle_;
  bool joinable_ = true;
};

}  // namespace blockpull
