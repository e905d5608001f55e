// SPDX-License-Identifier: Apache-2.0
//
// The system calls on one file. Interrupted calls are repeated and short transfers continued. The
// result is complete, or an error that names the file and the offset.
//
// Only regular files are opened, and the kind is checked before the open as well as after it.
// Opening a device can have an effect (a watchdog starts, a tape rewinds), and opening a FIFO can
// block forever.

#include "core/io/posix_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/text.h"

namespace blockpull::io {
namespace {

/// Alignment for O_DIRECT if the kernel does not report it (before Linux 6.1): right for every disk
/// in use.
constexpr std::uint32_t kUsualDirectAlignment = 4096;

/// Bytes in a block of `st_blocks`, whatever the filesystem.
constexpr std::uint64_t kStatBlock = 512;

template <typename Call>
auto repeat_interrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) {
    result = call();
  }
  return result;
}

Error error_at(std::string_view operation, int error_number, const std::string& path,
               std::uint64_t offset) {
  Error error = system_error(operation, error_number, path);
  error.offset = offset;
  return error;
}

Result<void> check_regular(const struct stat& about, const std::string& path) {
  if (S_ISREG(about.st_mode)) {
    return {};
  }
  const char* const kind = S_ISDIR(about.st_mode)    ? "a directory"
                           : S_ISFIFO(about.st_mode) ? "a FIFO"
                           : S_ISSOCK(about.st_mode) ? "a socket"
                                                     : "a device";
  Error error = make_error(ErrorKind::kUnsupported,
                           text("image '", path, "' is ", kind,
                                ", which is not supported; only regular files can be opened"));
  error.path = path;
  return error;
}

Error open_error(int error_number, const std::string& path, Access access) {
  Error error = system_error("open", error_number, path);
  const bool denied = error_number == EACCES || error_number == EPERM || error_number == EROFS;
  if (access == Access::kReadWrite && denied && ::access(path.c_str(), R_OK) == 0) {
    error.kind = ErrorKind::kReadOnly;
    error.message =
        text("file '", path, "' cannot be opened for writing: ", errno_text(error_number),
             "; make it writable first");
  }
  return error;
}

}  // namespace

Result<FileId> identify(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) {
    return system_error("stat", errno, path);
  }
  return FileId{about.st_dev, about.st_ino};
}

bool leads_to(const std::string& path, FileId file) {
  const auto there = identify(path);
  return there.ok() && *there == file;
}

Error exists_error(const std::string& path) {
  Error error = system_error("create", EEXIST, path);
  error.kind = ErrorKind::kInvalidArgument;
  error.message = text("file '", path, "' already exists; choose another name or remove it first");
  return error;
}

Result<void> check_writable(const std::string& path) {
  if (::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK, AT_EACCESS) == 0) {
    return {};
  }
  return open_error(errno, path, Access::kReadWrite);
}

Result<std::unique_ptr<PosixFile>> PosixFile::open(const std::string& path, Access access) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) {
    return open_error(errno, path, access);
  }
  BLOCKPULL_CHECK(check_regular(about, path));
  const int mode = access == Access::kReadWrite ? O_RDWR : O_RDONLY;
  UniqueFd fd(repeat_interrupted(
      [&] { return ::open(path.c_str(), mode | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); }));
  if (!fd.is_open()) {
    return open_error(errno, path, access);
  }
  if (::fstat(fd.get(), &about) != 0) {
    return system_error("fstat", errno, path);
  }
  BLOCKPULL_CHECK(check_regular(about, path));
  // O_NONBLOCK was only for the open: io_uring would take it to mean "fail rather than wait for the
  // disk".
  if (::fcntl(fd.get(), F_SETFL, 0) != 0) {
    return system_error("fcntl", errno, path);
  }
  return std::unique_ptr<PosixFile>(new PosixFile(path, std::move(fd), about, access));
}

Result<std::unique_ptr<PosixFile>> PosixFile::create(const std::string& path) {
  UniqueFd fd(repeat_interrupted(
      [&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644); }));
  if (!fd.is_open()) {
    return errno == EEXIST ? exists_error(path) : system_error("create", errno, path);
  }

  struct stat about {};
  if (::fstat(fd.get(), &about) != 0) {
    return system_error("fstat", errno, path);
  }
  return std::unique_ptr<PosixFile>(new PosixFile(path, std::move(fd), about, Access::kReadWrite));
}

PosixFile::PosixFile(std::string path, UniqueFd fd, const struct stat& about, Access access)
    : path_(std::move(path)),
      fd_(std::move(fd)),
      opened_(state_of(about)),
      access_(access),
      expected_size_(opened_.size_bytes) {}

Result<void> PosixFile::note_state() {
  BLOCKPULL_TRY(now, state_after_tick(fd_.get(), path_));
  opened_ = now;
  expected_size_ = now.size_bytes;
  return {};
}

void PosixFile::grow_expected_size(std::uint64_t end) {
  std::uint64_t kept = expected_size_.load();
  while (kept < end && !expected_size_.compare_exchange_weak(kept, end)) {
  }
}

Result<std::uint64_t> PosixFile::size() {
  struct stat about {};
  if (::fstat(fd_.get(), &about) != 0) {
    return system_error("fstat", errno, path_);
  }
  return static_cast<std::uint64_t>(about.st_size);
}

Result<void> PosixFile::read_at(std::uint64_t offset, std::span<std::byte> into) {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t got = repeat_interrupted([&] {
      return ::pread(fd_.get(), into.data() + done, into.size() - done,
                     static_cast<off_t>(offset + done));
    });
    if (got < 0) {
      return error_at("read", errno, path_, offset + done);
    }
    if (got == 0 && offset + done < expected_size_) {
      return shorter_error(path_, expected_size_, offset + done);
    }
    if (got == 0) {
      std::memset(into.data() + done, 0, into.size() - done);
      break;
    }
    done += static_cast<std::size_t>(got);
  }
  return {};
}

Result<void> PosixFile::write_at(std::uint64_t offset, std::span<const std::byte> from) {
  std::size_t done = 0;
  while (done < from.size()) {
    const ssize_t put = repeat_interrupted([&] {
      return ::pwrite(fd_.get(), from.data() + done, from.size() - done,
                      static_cast<off_t>(offset + done));
    });
    if (put <= 0) {
      return error_at("write", put < 0 ? errno : EIO, path_, offset + done);
    }
    done += static_cast<std::size_t>(put);
    grow_expected_size(offset + done);
  }
  return {};
}

Result<void> PosixFile::sync() {
  int error_number = sync_error_.load();
  if (error_number == 0) {
    if (::fdatasync(fd_.get()) == 0) {
      return {};
    }
    error_number = errno;
    sync_error_.store(error_number);
  }
  return system_error("fdatasync", error_number, path_);
}

Result<void> PosixFile::truncate(std::uint64_t size) {
  // Concurrent reads must not take our own truncation for somebody else's.
  expected_size_ = std::min(expected_size_.load(), size);
  if (repeat_interrupted([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }) != 0) {
    return error_at("ftruncate", errno, path_, size);
  }
  expected_size_ = size;
  return {};
}

Result<void> PosixFile::allocate(std::uint64_t offset, std::uint64_t length) {
  if (length == 0) {
    return {};
  }
  if (repeat_interrupted([&] {
        return ::fallocate(fd_.get(), 0, static_cast<off_t>(offset), static_cast<off_t>(length));
      }) == 0) {
    grow_expected_size(offset + length);
    return {};
  }
  if (errno != EOPNOTSUPP && errno != ENOSYS) {
    return error_at("fallocate", errno, path_, offset);
  }
  BLOCKPULL_TRY(now, size());
  if (offset + length <= now) {
    return {};
  }
  return truncate(offset + length);
}

Result<void> PosixFile::punch(std::uint64_t offset, std::uint64_t length) {
  if (length == 0) {
    return {};
  }
  if (repeat_interrupted([&] {
        return ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                           static_cast<off_t>(offset), static_cast<off_t>(length));
      }) != 0 &&
      errno != EOPNOTSUPP && errno != ENOSYS) {
    return error_at("fallocate", errno, path_, offset);
  }
  return {};
}

Result<FileRun> PosixFile::run_at(std::uint64_t offset) {
  const off_t data = ::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_DATA);
  const int error_number = errno;
  // Asked after the lseek: bytes that the file has lost by now are not a hole.
  BLOCKPULL_TRY(end, size());
  if (end < expected_size_) {
    return shorter_error(path_, expected_size_, end);
  }
  FileRun run{offset, end > offset ? end - offset : 0, false};
  if (data < 0) {
    // ENXIO: only a hole up to the end. Any other error means that this filesystem does not know.
    run.hole = error_number == ENXIO;
    return run;
  }
  const auto data_offset = static_cast<std::uint64_t>(data);
  if (data_offset > offset) {
    run.hole = true;
    run.length = std::min(run.length, data_offset - offset);
    return run;
  }
  const off_t hole = ::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_HOLE);
  if (hole > data) {
    run.length = std::min(run.length, static_cast<std::uint64_t>(hole) - offset);
  }
  return run;
}

KernelFile PosixFile::kernel_file() {
  std::call_once(direct_once_, [this] { open_direct(); });
  return {fd_.get(), direct_fd_.get(), direct_alignment_, expected_size_};
}

void PosixFile::open_direct() {
  const std::string name = text("/proc/self/fd/", fd_.get());
  const int mode = access_ == Access::kReadWrite ? O_RDWR : O_RDONLY;
  UniqueFd fd(
      repeat_interrupted([&] { return ::open(name.c_str(), mode | O_CLOEXEC | O_DIRECT); }));
  if (!fd.is_open()) {
    return;
  }
  direct_alignment_ = kUsualDirectAlignment;
#ifdef STATX_DIOALIGN
  struct statx about {};
  if (::statx(fd.get(), "", AT_EMPTY_PATH, STATX_DIOALIGN, &about) == 0 &&
      (about.stx_mask & STATX_DIOALIGN) != 0) {
    if (about.stx_dio_offset_align == 0) {
      return;
    }
    direct_alignment_ = std::max(about.stx_dio_offset_align, about.stx_dio_mem_align);
  }
#endif
  direct_fd_ = std::move(fd);
}

Result<std::uint64_t> PosixFile::allocated_bytes() const {
  struct stat about {};
  if (::fstat(fd_.get(), &about) != 0) {
    return system_error("fstat", errno, path_);
  }
  return static_cast<std::uint64_t>(about.st_blocks) * kStatBlock;
}

void PosixFile::forget_cached_pages() const {
  ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED);
}

}  // namespace blockpull::io
