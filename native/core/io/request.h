// SPDX-License-Identifier: Apache-2.0
//
// One asynchronous read or write of guest data, and the queue that carries it out.
//
// There are two queues: `uring_queue.h` (one io_uring) and `thread_queue.h` (pread/pwrite on the
// blocking threads), which also serves files that exist only in tests. The maker of a request keeps
// it and its buffer alive until `done` has been called. `done` runs on the queue's own thread,
// inside `wait`.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "core/base/clock.h"
#include "core/io/file.h"

namespace blockpull::io {

struct Request {
  enum class Op : std::uint8_t { kRead, kWrite };

  Op op = Op::kRead;
  File* file = nullptr;
  std::uint64_t offset = 0;
  std::byte* buffer = nullptr;
  std::size_t length = 0;
  /// A read past the end of the file gives zeros; a short write is continued until it is complete.
  std::function<void(Result<void>)> done;

  /// Used by the queue: bytes finished so far, and whether O_DIRECT was refused for this request.
  std::size_t transferred = 0;
  bool direct_refused = false;
};

class RequestQueue {
 public:
  virtual ~RequestQueue() = default;

  /// "io_uring" or "threads": the `method` that users see.
  [[nodiscard]] virtual const char* name() const = 0;

  /// Takes the request, which may start at once or at the next wait. Called on the queue's thread.
  virtual void submit(Request& request) = 0;

  /// Starts what is waiting, then sleeps until a request ends, wake() is called or `until` has
  /// passed (Nanoseconds::max(): never). Then calls `done` of every request that has ended.
  virtual void wait(Nanoseconds until) = 0;

  /// Ends a wait, the present one or the next. From any thread.
  virtual void wake() = 0;
};

}  // namespace blockpull::io
