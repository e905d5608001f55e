// SPDX-License-Identifier: Apache-2.0
//
// C's calls return when there is an answer; below, an answer may come on another thread. Every call
// of the shim to native/virt goes through here:
//
//     answer_of<T>([&](auto answer) { virt::lookup_by_name(conn->virt(), name, answer); })
//
// The call gets the function to answer with: once, from any thread, at once or later.

#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "virt/session/answer.h"

namespace blockpull::capi {

template <typename T>
[[nodiscard]] virt::Result<T> answer_of(const std::function<void(virt::Answer<T>)>& call) {
  struct Waiting {
    /// Guards `result`.
    std::mutex mutex;
    std::condition_variable answered;
    std::optional<virt::Result<T>> result;
  };
  // Shared, since the answering thread may still be inside notify_all() when the waiter has
  // continued.
  const auto waiting = std::make_shared<Waiting>();
  call([waiting](virt::Result<T> result) {
    const std::lock_guard lock(waiting->mutex);
    waiting->result.emplace(std::move(result));
    waiting->answered.notify_all();
  });
  std::unique_lock lock(waiting->mutex);
  waiting->answered.wait(lock, [&waiting] { return waiting->result.has_value(); });
  return std::move(*waiting->result);
}

}  // namespace blockpull::capi
