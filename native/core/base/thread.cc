// SPDX-License-Identifier: Apache-2.0

#include "core/base/thread.h"

#include <utility>

namespace blockpull {
namespace {

void* run(void* argument) {
  const std::unique_ptr<std::function<void()>> body(static_cast<std::function<void()>*>(argument));
  (*body)();
  return nullptr;
}

}  // namespace

Result<Thread> Thread::start(const char* name, std::function<void()> body) {
  auto argument = std::make_unique<std::function<void()>>(std::move(body));
  pthread_t handle{};
  if (const int status = ::pthread_create(&handle, nullptr, &run, argument.get()); status != 0) {
    return system_error("pthread_create", status, name);
  }
  (void)argument.release();
  ::pthread_setname_np(handle, name);
  return Thread(handle);
}

void Thread::detach() {
  if (joinable_) {
    ::pthread_detach(handle_);
    joinable_ = false;
  }
}

Thread::~Thread() {
  if (joinable_) {
    ::pthread_join(handle_, nullptr);
  }
}

}  // namespace blockpull
