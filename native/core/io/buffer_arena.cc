// SPDX-License-Identifier: Apache-2.0

#include "core/io/buffer_arena.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <utility>

#include <sys/mman.h>

#include "core/base/checked.h"

namespace blockpull::io {
namespace {

constexpr std::size_t kHugePage = 2097152;

}  // namespace

Result<std::unique_ptr<BufferArena>> BufferArena::create(std::size_t bytes) {
  // One huge page more, so that the buffers can begin at the start of one.
  const std::size_t mapped = bytes + kHugePage;
  void* const mapping =
      ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) {
    return system_error("mmap", errno, "buffers");
  }
  auto* const base =
      reinterpret_cast<std::byte*>(round_up(reinterpret_cast<std::uintptr_t>(mapping), kHugePage));
  // The kernel pins the pages of every request. One huge page instead of 256 small ones cuts the
  // CPU time of a copy to a third. Without huge pages everything else works the same.
  (void)::madvise(base, bytes, MADV_HUGEPAGE);
  return std::unique_ptr<BufferArena>(new BufferArena({mapping, mapped}, base, bytes / kBlock));
}

BufferArena::~BufferArena() {
  ::munmap(mapping_.start, mapping_.bytes);
}

std::byte* BufferArena::find(std::size_t bytes) {
  const std::size_t want = divide_up(bytes, kBlock);
  const auto run = std::find_if(free_.begin(), free_.end(),
                                [want](const auto& free) { return free.second >= want; });
  if (run == free_.end()) {
    return nullptr;
  }
  const auto [first, count] = *run;
  free_.erase(run);
  if (count > want) {
    free_.emplace(first + want, count - want);
  }
  taken_.emplace(first, want);
  return base_ + first * kBlock;
}

std::byte* BufferArena::try_take(std::size_t bytes) {
  return waiting_.empty() ? find(bytes) : nullptr;
}

std::uint64_t BufferArena::wait_for(std::size_t bytes, Granted granted) {
  waiting_.push_back({next_ticket_, bytes, std::move(granted)});
  return next_ticket_++;
}

void BufferArena::cancel(std::uint64_t ticket) {
  std::erase_if(waiting_, [ticket](const Waiter& waiter) { return waiter.ticket == ticket; });
  serve();
}

void BufferArena::give_back(std::byte* buffer) {
  const auto first = static_cast<std::size_t>(buffer - base_) / kBlock;
  const auto taken = taken_.find(first);
  if (taken == taken_.end()) {
    // Not a buffer in use: it was given back twice, and somebody else may already be writing to it.
    std::abort();
  }
  add_free(first, taken->second);
  taken_.erase(taken);
  serve();
}

/// Adds a free run, merged with the free runs before and behind it.
void BufferArena::add_free(std::size_t first, std::size_t count) {
  auto next = free_.lower_bound(first);
  if (next != free_.end() && next->first == first + count) {
    count += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == first) {
      before->second += count;
      return;
    }
  }
  free_.emplace_hint(next, first, count);
}

void BufferArena::serve() {
  while (!waiting_.empty()) {
    std::byte* const buffer = find(waiting_.front().bytes);
    if (buffer == nullptr) {
      return;
    }
    Granted granted = std::move(waiting_.front().granted);
    waiting_.pop_front();
    granted(buffer);
  }
}

}  // namespace blockpull::io
