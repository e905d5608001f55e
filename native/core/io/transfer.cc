// SPDX-License-Identifier: Apache-2.0

#include "core/io/transfer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include <unistd.h>

#include "core/base/checked.h"
#include "core/io/file_state.h"

namespace blockpull::io {
namespace {

constexpr std::uint32_t kPage = 4096;

/// For a read that has met the end of the file: whether the file had those bytes before.
bool was_cut(const Request& request) {
  return request.offset + request.transferred < request.file->kernel_file().expected_size;
}

}  // namespace

int descriptor_for(const Request& request, const KernelFile& file) {
  if (request.direct_refused || file.direct_fd < 0) {
    return file.fd;
  }
  const std::uint32_t alignment = request.op == Request::Op::kWrite
                                      ? std::max(file.direct_alignment, kPage)
                                      : file.direct_alignment;
  const auto address = reinterpret_cast<std::uintptr_t>(request.buffer) + request.transferred;
  const std::uint64_t all =
      (request.offset + request.transferred) | (request.length - request.transferred) | address;
  return is_aligned(all, alignment) ? file.direct_fd : file.fd;
}

bool retry_without_direct(Request& request, const KernelFile& file, int error_number) {
  if (error_number != EINVAL || descriptor_for(request, file) != file.direct_fd) {
    return false;
  }
  request.direct_refused = true;
  return true;
}

TransferState account(Request& request, ssize_t result) {
  if (result < 0) {
    return TransferState::kFailed;
  }
  if (result == 0) {
    if (request.op == Request::Op::kWrite || was_cut(request)) {
      return TransferState::kFailed;
    }
    std::memset(request.buffer + request.transferred, 0, request.length - request.transferred);
    request.transferred = request.length;
    return TransferState::kWhole;
  }
  request.transferred += static_cast<std::size_t>(result);
  return request.transferred == request.length ? TransferState::kWhole : TransferState::kContinue;
}

Error transfer_error(const Request& request, int error_number) {
  const bool reads = request.op == Request::Op::kRead;
  const std::uint64_t at = request.offset + request.transferred;
  if (reads && error_number == 0) {
    return shorter_error(request.file->path(), request.file->kernel_file().expected_size, at);
  }
  Error error = system_error(reads ? "read" : "write", error_number == 0 ? EIO : error_number,
                             request.file->path());
  error.offset = at;
  return error;
}

Result<void> transfer_now(Request& request) {
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

}  // namespace blockpull::io
