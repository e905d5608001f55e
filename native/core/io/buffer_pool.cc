// SPDX-License-Identifier: Apache-2.0

#include "core/io/buffer_pool.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

#include "core/base/checked.h"
#include "core/base/text.h"

namespace blockpull::io {

Result<std::unique_ptr<BufferPool>> BufferPool::create(std::size_t count, std::size_t size) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto bytes = checked_multiply(count, size);
  if (!bytes || *bytes == 0 || !is_aligned(size, page)) {
    return make_error(ErrorKind::kInvalidArgument,
                      text("buffer pool of ", count, " buffers of ", size,
                           " bytes cannot be made; a buffer is one or more pages of ", page));
  }
  void* const base =
      ::mmap(nullptr, *bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) {
    Error error = make_error(ErrorKind::kIo, text("memory for ", count, " buffers of ", size,
                                                  " bytes cannot be had: ", errno_text(errno)));
    error.error_number = errno;
    error.operation = "mmap";
    return error;
  }
  return std::unique_ptr<BufferPool>(new BufferPool(static_cast<std::byte*>(base), count, size));
}

BufferPool::BufferPool(std::byte* base, std::size_t count, std::size_t size)
    : base_(base), count_(count), size_(size) {
  free_.reserve(count);
  // The last one is taken first, so the first buffers of the mapping are the ones in use when few
  // are.
  for (std::size_t index = count; index-- > 0;) {
    free_.push_back(static_cast<std::uint32_t>(index));
  }
}

BufferPool::~BufferPool() {
  ::munmap(base_, count_ * size_);
}

std::vector<BufferPool::Buffer> BufferPool::try_take(std::size_t want) {
  return waiting_.empty() ? take(want) : std::vector<Buffer>();
}

std::vector<BufferPool::Buffer> BufferPool::take(std::size_t want) {
  std::vector<Buffer> taken;
  if (want > free_.size()) {
    return taken;
  }
  taken.reserve(want);
  for (std::size_t i = 0; i < want; ++i) {
    taken.push_back({base_ + free_.back() * size_, free_.back()});
    free_.pop_back();
  }
  return taken;
}

std::uint64_t BufferPool::wait_for(std::size_t want, Granted granted) {
  const std::uint64_t ticket = next_ticket_++;
  waiting_.push_back({ticket, want, std::move(granted)});
  serve();
  return ticket;
}

void BufferPool::cancel(std::uint64_t ticket) {
  std::erase_if(waiting_, [ticket](const Waiter& waiter) { return waiter.ticket == ticket; });
  serve();
}

void BufferPool::give_back(Buffer buffer) {
  free_.push_back(buffer.index);
  serve();
}

void BufferPool::serve() {
  if (std::exchange(serving_, true)) {
    return;
  }
  while (!waiting_.empty() && waiting_.front().want <= free_.size()) {
    const Waiter waiter = std::move(waiting_.front());
    waiting_.pop_front();
    waiter.granted(take(waiter.want));
  }
  serving_ = false;
}

}  // namespace blockpull::io
