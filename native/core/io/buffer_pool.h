// SPDX-License-Identifier: Apache-2.0
//
// The one bounded pool of aligned buffers through which all guest data of the process goes.
//
// One anonymous mapping is cut into equal buffers; a page costs memory only once it has been
// touched. Whoever finds the pool empty leaves a callback and is served in order of asking, so no
// job starves another. A request for several buffers is granted whole or not at all: two
// half-served jobs cannot wait for each other. Thread rule: the engine thread only.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "core/base/result.h"

namespace blockpull::io {

class BufferPool {
 public:
  struct Buffer {
    std::byte* data = nullptr;
    std::uint32_t index = 0;
  };

  using Granted = std::function<void(std::vector<Buffer>)>;

  /// `count` buffers of `size` bytes, page aligned. kIo when the memory cannot be had.
  [[nodiscard]] static Result<std::unique_ptr<BufferPool>> create(std::size_t count,
                                                                  std::size_t size);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  [[nodiscard]] std::size_t buffer_size() const { return size_; }

  [[nodiscard]] std::size_t count() const { return count_; }

  [[nodiscard]] std::byte* base() const { return base_; }

  /// `want` buffers (at most count()), now if nobody waits and enough are free, else empty.
  [[nodiscard]] std::vector<Buffer> try_take(std::size_t want);

  /// Calls `granted` with `want` buffers (at most count()) as soon as it is this asker's turn: from
  /// a later give_back or cancel, or before this call returns where the buffers are free. The
  /// ticket cancels.
  std::uint64_t wait_for(std::size_t want, Granted granted);
  void cancel(std::uint64_t ticket);

  void give_back(Buffer buffer);

 private:
  struct Waiter {
    std::uint64_t ticket = 0;
    std::size_t want = 0;
    Granted granted;
  };

  BufferPool(std::byte* base, std::size_t count, std::size_t size);
  [[nodiscard]] std::vector<Buffer> take(std::size_t want);
  void serve();

  std::byte* const base_;
  const std::size_t count_;
  const std::size_t size_;
  std::vector<std::uint32_t> free_;
  std::deque<Waiter> waiting_;
  /// A callback that asks or gives back again finds this set and leaves the serving to the loop it
  /// is in.
  bool serving_ = false;
  std::uint64_t next_ticket_ = 1;
};

}  // namespace blockpull::io
