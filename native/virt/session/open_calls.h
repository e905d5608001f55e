// SPDX-License-Identifier: Apache-2.0
//
// The calls of a connection that wait for a QEMU. Closing the connection answers them at once: a
// QEMU may take minutes or never answer, and nobody needs its answer any more.
//
//     guarded ─┬─▶ QEMU's answer ─▶ passed on          the first of the two wins,
//              └─▶ close()       ─▶ kClosed            the other is dropped
//
// Thread rule: any thread. Answers are given outside the lock.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "virt/session/answer.h"

namespace blockpull::virt {

/// The failure of calls after close(). `function` is the public name of the call.
[[nodiscard]] Failure connection_closed(std::string_view function);

class OpenCalls : public std::enable_shared_from_this<OpenCalls> {
 public:
  /// Wraps `done`, which is to be called once; close() may answer first. `function` is a literal.
  template <typename T>
  [[nodiscard]] Answer<T> guard(std::string_view function, Answer<T> done) {
    struct Call {
      Answer<T> done;
      std::atomic<bool> is_answered{false};
    };
    const auto call = std::make_shared<Call>();
    call->done = std::move(done);
    const std::uint64_t id = add([call, function] {
      if (!call->is_answered.exchange(true)) {
        call->done(connection_closed(function));
      }
    });
    return [self = shared_from_this(), call, id](Result<T> result) {
      self->remove(id);
      if (!call->is_answered.exchange(true)) {
        call->done(std::move(result));
      }
    };
  }

  /// Calls that are guarded after this are answered at once too.
  void close();

 private:
  /// 0 if already closed; `fail` has been called then.
  [[nodiscard]] std::uint64_t add(std::function<void()> fail);
  void remove(std::uint64_t id);

  /// Guards everything below.
  std::mutex mutex_;
  std::map<std::uint64_t, std::function<void()>> open_;
  std::uint64_t next_id_ = 1;
  bool is_closed_ = false;
};

}  // namespace blockpull::virt
