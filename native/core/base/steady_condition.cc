// SPDX-License-Identifier: Apache-2.0

#include "core/base/steady_condition.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ctime>

namespace blockpull {
namespace {

/// What cannot fail but for a defect of ours; going on would be a wait that never ends.
void insist(int error_number) {
  if (error_number != 0) {
    std::abort();
  }
}

}  // namespace

SteadyCondition::SteadyCondition() {
  pthread_condattr_t attributes;
  insist(::pthread_condattr_init(&attributes));
  insist(::pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
  insist(::pthread_cond_init(&condition_, &attributes));
  insist(::pthread_condattr_destroy(&attributes));
}

SteadyCondition::~SteadyCondition() {
  ::pthread_cond_destroy(&condition_);
}

void SteadyCondition::notify_one() {
  insist(::pthread_cond_signal(&condition_));
}

void SteadyCondition::wait_once(std::unique_lock<std::mutex>& lock) {
  insist(::pthread_cond_wait(&condition_, lock.mutex()->native_handle()));
}

bool SteadyCondition::wait_once_until(std::unique_lock<std::mutex>& lock, Nanoseconds deadline) {
  // A time before the clock's start has passed as much as its start has; the call would refuse it.
  const auto whole = std::max(deadline, Nanoseconds::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(whole);
  timespec until{};
  until.tv_sec = seconds.count();
  until.tv_nsec = (whole - seconds).count();
  const int result = ::pthread_cond_timedwait(&condition_, lock.mutex()->native_handle(), &until);
  insist(result == ETIMEDOUT ? 0 : result);
  return result != ETIMEDOUT;
}

}  // namespace blockpull
