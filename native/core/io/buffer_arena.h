// SPDX-License-Identifier: Apache-2.0
//
// The one bounded store of aligned buffers through which all guest data of the process goes.
//
//     │ 4 KiB │ 4 KiB │ … │        one mapping; a buffer is a run of blocks, found first-fit
//
// A throttled job moves as little as a page at a time, a fast one 1 MiB: with buffers of one size a
// thousand slow jobs would starve each other. A page costs memory only once it has been touched.
// Who finds no room leaves a callback and is served in order of asking; nobody overtakes, so the
// first in line gets its run when enough has come back. Thread rule: the engine thread only.

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

  /// `bytes` is a multiple of kBlock. kIo when the memory cannot be had.
  [[nodiscard]] static Result<std::unique_ptr<BufferArena>> create(std::size_t bytes);
  ~BufferArena();
  BufferArena(const BufferArena&) = delete;
  BufferArena& operator=(const BufferArena&) = delete;

  /// A page-aligned buffer, or nullptr when somebody is waiting or no run is free. `bytes` is at
  /// least 1 and at most the arena.
  [[nodiscard]] std::byte* try_take(std::size_t bytes);

  /// Calls `granted` when it is this asker's turn. The ticket cancels.
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
  /// Runs of free blocks, no two of them neighbours: the first block of each, and how many.
  std::map<std::size_t, std::size_t> free_;
  /// First block of each buffer that is out, and how many blocks it has.
  std::unordered_map<std::size_t, std::size_t> taken_;
  std::deque<Waiter> waiting_;
  std::uint64_t next_ticket_ = 1;
};

}  // namespace blockpull::io
