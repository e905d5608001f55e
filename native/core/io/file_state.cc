// SPDX-License-Identifier: Apache-2.0

#include "core/io/file_state.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include <time.h>

#include "core/base/text.h"

namespace blockpull::io {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

/// The kernel's clock for file times steps every 10 ms at the slowest (100 Hz).
constexpr std::int64_t kTick = 10'000'000;

std::int64_t nanoseconds(const timespec& time) {
  return time.tv_sec * kSecond + time.tv_nsec;
}

}  // namespace

FileState state_of(const struct stat& about) {
  return {{about.st_dev, about.st_ino},
          static_cast<std::uint64_t>(about.st_size),
          nanoseconds(about.st_mtim),
          nanoseconds(about.st_ctim),
          about.st_nlink};
}

Result<FileState> state_of(int fd, const std::string& path) {
  struct stat about {};
  if (::fstat(fd, &about) != 0) {
    return system_error("fstat", errno, path);
  }
  return state_of(about);
}

Result<FileState> state_after_tick(int fd, const std::string& path) {
  BLOCKPULL_TRY(state, state_of(fd, path));
  // A whole second is a chance of one in a billion, or the filesystem counts in seconds.
  const std::int64_t step = state.changed_ns % kSecond == 0 ? kSecond : kTick;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::int64_t left = state.changed_ns + step - nanoseconds(now);
  if (left <= 0) {
    return state;
  }
  // If the file's clock is another machine's, `left` means nothing, so it is limited.
  std::this_thread::sleep_for(std::chrono::nanoseconds(std::min(left, step)));
  return state_of(fd, path);
}

Error shorter_error(const std::string& path, std::uint64_t had, std::uint64_t ends_at) {
  Error error =
      make_error(ErrorKind::kLocked, text("file '", path, "' has shrunk: it had ", had,
                                          " bytes when it was opened and has ", ends_at,
                                          " now; find out who writes to it, then try again"));
  error.offset = ends_at;
  return std::move(error).with_path(path);
}

}  // namespace blockpull::io
