// SPDX-License-Identifier: Apache-2.0

#include "virt/session/open_calls.h"

#include "core/base/text.h"

namespace blockpull::virt {

Failure connection_closed(std::string_view function) {
  return report(ErrorKind::kClosed, text(function, ": the connection is closed"));
}

std::uint64_t OpenCalls::add(std::function<void()> fail) {
  {
    const std::lock_guard lock(mutex_);
    if (!is_closed_) {
      const std::uint64_t id = next_id_++;
      open_.emplace(id, std::move(fail));
      return id;
    }
  }
  fail();
  return 0;
}

void OpenCalls::remove(std::uint64_t id) {
  // The entry is destroyed after the lock is released.
  std::map<std::uint64_t, std::function<void()>>::node_type removed;
  const std::lock_guard lock(mutex_);
  removed = open_.extract(id);
}

void OpenCalls::close() {
  std::map<std::uint64_t, std::function<void()>> open;
  {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    open.swap(open_);
  }
  for (const auto& [id, fail] : open) {
    fail();
  }
}

}  // namespace blockpull::virt
