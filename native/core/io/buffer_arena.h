// SPDX-License-Identifier: Apache-2.0
//
// The bounded store of aligned buffers for all guest data of the process.
//
//     │ 4 KiB │ 4 KiB │ … │        one mapping; a buffer is a run of blocks, found first-fit
//
// A throttled job moves as little as a page at a time, a fast one 1 MiB. With buffers of one size a
// thousand slow jobs would starve each other. A page costs memory only once it has been touched. If
// there is no room, a caller leaves a callback. Callers are served in order; nobody overtakes, so
// the first in line gets its run as soon as enough is free. Thread rule: the engine thread only.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

#include "core/base/result.h"

namespace blockpull::io {

class BufferArena {
 public:
  using Granted = std::function<void(std::byte*)>;

  static constexpr std::size_t kBlock = 4096;

  /// `bytes` is a multiple of kBlock. kIo if the memory cannot be mapped.
  [[nodiscard]] static Result<std::unique_ptr<BufferArena>> create(std::size_t bytes);
  ~BufferArena();
  BufferArena(const BufferArena&) = delete;
  BufferArena& operator=(const BufferArena&) = delete;

  /// A page-aligned buffer, or nullptr if somebody is waiting or no run is free. `bytes` is between
  /// 1 and the size of the arena.
  [[nodiscard]] std::byte* try_take(std::size_t bytes);

  /// Calls `granted` when it is this caller's turn. The ticket is for cancel().
  std::uint64_t wait_for(std::size_t bytes, Granted granted);
  void cancel(std::uint64_t ticket);

  void give_back(std::byte* buffer);

 private:
  struct Waiter {
    std::uint64_t ticket = 0;
    std::size_t bytes = 0;
    Granted granted;
  };

  struct Mapping {
    void* start = nullptr;
    std::size_t bytes = 0;
  };

  BufferArena(Mapping mapping, std::byte* base, std::size_t blocks)
      : mapping_(mapping), base_(base), free_{{0, blocks}} {}
  [[nodiscard]] std::byte* find(std::size_t bytes);
  void add_free(std::size_t first, std::size_t count);
  void serve();

  const Mapping mapping_;
  std::byte* const base_;
  /// Runs of free blocks, never adjacent: the first block of each, and how many.
  std::map<std::size_t, std::size_t> free_;
  /// First block of each buffer in use, and how many blocks it has.
  std::unordered_map<std::size_t, std::size_t> taken_;
  std::deque<Waiter> waiting_;
  std::uint64_t next_ticket_ = 1;
};

}  // namespace blockpull::io
