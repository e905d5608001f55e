// SPDX-License-Identifier: Apache-2.0

#include "virt/session/pull_start.h"

#include <utility>

namespace blockpull::virt {

bool PullStart::ask() {
  const std::lock_guard lock(mutex_);
  was_asked_ = was_asked_ || !is_given_up_;
  return was_asked_;
}

bool PullStart::take() {
  const std::lock_guard lock(mutex_);
  is_taken_ = !is_given_up_;
  return is_taken_;
}

void PullStart::give_up() {
  std::function<void(bool)> told;
  bool was_asked = false;
  {
    const std::lock_guard lock(mutex_);
    if (is_taken_) {
      return;
    }
    is_given_up_ = true;
    was_asked = was_asked_;
    told.swap(done_);
  }
  if (told) {
    told(was_asked);
  }
}

void PullStart::when_given_up(std::function<void(bool)> done) {
  bool was_asked = false;
  {
    const std::lock_guard lock(mutex_);
    if (!is_given_up_) {
      done_ = std::move(done);
      return;
    }
    was_asked = was_asked_;
  }
  done(was_asked);
}

}  // namespace blockpull::virt
