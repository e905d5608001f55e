// SPDX-License-Identifier: Apache-2.0

#include "core/io/thread_queue.h"

#include <cerrno>
#include <chrono>
#include <span>

#include <unistd.h>

#include "core/io/transfer.h"

namespace blockpull::io {

Result<void> ThreadQueue::transfer(Request& request) {
  const KernelFile kernel_file = request.file->kernel_file();
  if (kernel_file.fd < 0) {
    const std::span<std::byte> bytes(request.buffer, request.length);
    return request.op == Request::Op::kRead ? request.file->read_at(request.offset, bytes)
                                            : request.file->write_at(request.offset, bytes);
  }
  for (;;) {
    const int fd = descriptor_for(request, kernel_file);
    std::byte* const at = request.buffer + request.transferred;
    const std::size_t left = request.length - request.transferred;
    const auto offset = static_cast<off_t>(request.offset + request.transferred);
    const ssize_t moved = request.op == Request::Op::kRead ? ::pread(fd, at, left, offset)
                                                           : ::pwrite(fd, at, left, offset);
    if (moved < 0 && (errno == EINTR || retry_without_direct(request, kernel_file, errno))) {
      continue;
    }
    switch (account(request, moved)) {
      case TransferState::kWhole:
        return {};
      case TransferState::kContinue:
        break;
      case TransferState::kFailed:
        return transfer_error(request, moved < 0 ? errno : 0);
    }
  }
}

void ThreadQueue::submit(Request& request) {
  begin_transfer(request);
  pool_.run([this, &request] {
    Result<void> result = transfer(request);
    const std::lock_guard lock(mutex_);
    ended_.emplace_back(&request, std::move(result));
    changed_.notify_one();
  });
}

void ThreadQueue::wait(Nanoseconds until) {
  std::vector<std::pair<Request*, Result<void>>> ended;
  {
    std::unique_lock lock(mutex_);
    const auto has_news = [this] { return woken_ || !ended_.empty(); };
    if (until == Nanoseconds::max()) {
      changed_.wait(lock, has_news);
    } else {
      changed_.wait_until(lock, std::chrono::steady_clock::time_point(until), has_news);
    }
    woken_ = false;
    ended.swap(ended_);
  }
  for (auto& [request, result] : ended) {
    // Whoever made the request may destroy it in the call.
    const auto done = std::move(request->done);
    done(std::move(result));
  }
}

void ThreadQueue::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_one();
}

}  // namespace blockpull::io
