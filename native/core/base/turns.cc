// SPDX-License-Identifier: Apache-2.0

#include "core/base/turns.h"

#include <utility>

namespace blockpull {

void Turns::wait(const std::string& name, Begin begin) {
  {
    const std::lock_guard lock(mutex_);
    const auto [waiting, is_first] = waiting_.try_emplace(name);
    if (!is_first) {
      waiting->second.push_back(std::move(begin));
      return;
    }
  }
  begin(turn_of(name));
}

Turns::Turn Turns::turn_of(const std::string& name) {
  return {nullptr, [this, name](void* /*none*/) { next(name); }};
}

void Turns::next(const std::string& name) {
  Begin begin;
  {
    const std::lock_guard lock(mutex_);
    const auto waiting = waiting_.find(name);
    if (waiting->second.empty()) {
      waiting_.erase(waiting);
      return;
    }
    begin = std::move(waiting->second.front());
    waiting->second.pop_front();
  }
  begin(turn_of(name));
}

}  // namespace blockpull
