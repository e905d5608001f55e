// SPDX-License-Identifier: Apache-2.0
//
// Takes the locks, checks for conflicts, and releases everything if there is one. `lock_holder.h`
// finds the holder of a conflicting lock; not finding it changes no result.

#include "core/io/lock.h"

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include <fcntl.h>

#include "core/base/text.h"
#include "core/io/lock_holder.h"

namespace blockpull::io {
namespace {

constexpr off_t kUsedBase = 100;
constexpr off_t kUnsharedBase = 200;
constexpr unsigned kPermissions = 4;
constexpr unsigned kWrite = 1;

/// Bit i stands for permission i.
struct LockBits {
  unsigned used = 0;
  unsigned unshared = 0;
};

LockBits bits_of(LockRole role) {
  return role == LockRole::kWriter ? LockBits{0b1111, 0b1110} : LockBits{0b0001, 0b1010};
}

/// One byte, or the rest of the file from `start` if `length` is 0.
struct flock byte_lock(short type, off_t start, off_t length = 1) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

Error lock_error(int error_number, const std::string& path) {
  Error error = system_error("lock", error_number, path);
  if (error_number == ENOLCK || error_number == EOPNOTSUPP || error_number == ENOSYS ||
      error_number == EINVAL) {
    error.kind = ErrorKind::kUnsupported;
    error.message = text("file '", path, "' is on a filesystem where locks are not supported (",
                         errno_text(error_number),
                         "); without them nothing keeps a guest from using the image");
  }
  return error;
}

struct Conflict {
  off_t byte = 0;
  /// The owner of a POSIX lock; 0 for an open-file-description lock, which belongs to no process.
  pid_t pid = 0;
};

/// The first byte of `permissions` on which somebody else's lock conflicts with `type`.
Result<std::optional<Conflict>> find_conflict(PosixFile& file, off_t base, unsigned permissions,
                                              short type = F_WRLCK) {
  for (unsigned i = 0; i < kPermissions; ++i) {
    if ((permissions >> i & 1U) == 0) {
      continue;
    }
    const off_t byte = base + static_cast<off_t>(i);
    struct flock lock = byte_lock(type, byte);
    if (::fcntl(file.fd(), F_OFD_GETLK, &lock) != 0) {
      return lock_error(errno, file.path());
    }
    if (lock.l_type != F_UNLCK) {
      return std::optional<Conflict>({byte, lock.l_pid > 0 ? lock.l_pid : 0});
    }
  }
  return std::optional<Conflict>();
}

/// Takes a shared lock, through `fd` of the file, on the byte of every permission in `permissions`.
/// Returns the byte where another program's exclusive lock conflicts, if any. QEMU takes no
/// exclusive locks, but programs that lock whole files do.
Result<std::optional<Conflict>> take(const PosixFile& file, int fd, off_t base,
                                     unsigned permissions) {
  for (unsigned i = 0; i < kPermissions; ++i) {
    if ((permissions >> i & 1U) == 0) {
      continue;
    }
    const off_t byte = base + static_cast<off_t>(i);
    struct flock lock = byte_lock(F_RDLCK, byte);
    if (::fcntl(fd, F_OFD_SETLK, &lock) == 0) {
      continue;
    }
    if (errno != EAGAIN && errno != EACCES) {
      return lock_error(errno, file.path());
    }
    // The owner may be gone by now, but the lock was refused.
    const bool known = ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    return std::optional<Conflict>({byte, known && lock.l_pid > 0 ? lock.l_pid : 0});
  }
  return std::optional<Conflict>();
}

/// Takes all locks of `bits`, through `fd` of the file.
Result<std::optional<Conflict>> take_all(const PosixFile& file, int fd, LockBits bits) {
  BLOCKPULL_TRY(conflict, take(file, fd, kUsedBase, bits.used));
  return conflict ? conflict : take(file, fd, kUnsharedBase, bits.unshared);
}

/// Takes the locks of `bits`. Returns the first conflict, if any.
Result<std::optional<Conflict>> take_and_compare(PosixFile& file, LockBits bits) {
  BLOCKPULL_TRY(conflict, take_all(file, file.fd(), bits));
  if (conflict) {
    return conflict;
  }
  BLOCKPULL_TRY(refuses_us, find_conflict(file, kUnsharedBase, bits.used));
  if (refuses_us) {
    return refuses_us;
  }
  return find_conflict(file, kUsedBase, bits.unshared);
}

Error conflict_error(PosixFile& file, const Conflict& conflict) {
  const Holder holder = find_lock_holder(file, conflict.byte, conflict.pid);
  Error error = make_error(ErrorKind::kLocked, text("image '", file.path(), "' is in use by ",
                                                    describe_holder(holder), "; ", advice(holder)));
  error.path = file.path();
  error.holder = describe_holder(holder);
  return error;
}

/// The first conflict that take_and_compare() would return.
Result<std::optional<Conflict>> compare(PosixFile& file, LockBits bits) {
  struct Question {
    off_t base;
    unsigned permissions;
    short type;
  };
  for (const auto& [base, permissions, type] :
       {Question{kUsedBase, bits.used, F_RDLCK}, Question{kUnsharedBase, bits.unshared, F_RDLCK},
        Question{kUnsharedBase, bits.used, F_WRLCK}, Question{kUsedBase, bits.unshared, F_WRLCK}}) {
    BLOCKPULL_TRY(conflict, find_conflict(file, base, permissions, type));
    if (conflict) {
      return conflict;
    }
  }
  return std::optional<Conflict>();
}

}  // namespace

Result<void> lock_image(PosixFile& file, LockRole role) {
  Result<std::optional<Conflict>> conflict = take_and_compare(file, bits_of(role));
  if (conflict.ok() && !*conflict && role == LockRole::kWriter) {
    // Direct writes in flight outlive a killed process and keep their own descriptor open until
    // they end. With locks of its own that descriptor keeps others from using the image before
    // that. These locks never conflict with our other ones.
    const int direct_fd = file.kernel_file().direct_fd;
    conflict = direct_fd < 0 ? conflict : take_all(file, direct_fd, bits_of(role));
  }
  if (conflict.ok() && !*conflict) {
    return {};
  }
  struct flock unlock = byte_lock(F_UNLCK, kUsedBase, 0);
  // A failure leaves the locks until the file is closed, which happens next.
  static_cast<void>(::fcntl(file.fd(), F_OFD_SETLK, &unlock));
  if (!conflict.ok()) {
    return std::move(conflict).error();
  }
  // Only after the unlock: the search would find our own locks.
  return conflict_error(file, **conflict);
}

Result<void> lock_opened(PosixFile& file, LockRole role) {
  BLOCKPULL_CHECK(lock_image(file, role));
  BLOCKPULL_TRY(there, identify(file.path()));
  if (there == file.id()) {
    return {};
  }
  return make_error(ErrorKind::kLocked,
                    text("file '", file.path(),
                         "' was replaced by another file while it was being opened; try again"))
      .with_path(file.path());
}

std::string find_writer(PosixFile& file) {
  const Result<std::optional<Conflict>> found = find_conflict(file, kUsedBase, 1U << kWrite);
  const std::optional<Conflict> writer = found.ok() ? *found : std::nullopt;
  return writer ? describe_holder(find_lock_holder(file, writer->byte, writer->pid)) : "";
}

std::optional<Error> lock_refusal(PosixFile& file, LockRole role) {
  Result<std::optional<Conflict>> conflict = compare(file, bits_of(role));
  if (!conflict.ok()) {
    return std::move(conflict).error();
  }
  return *conflict ? std::optional(conflict_error(file, **conflict)) : std::nullopt;
}

}  // namespace blockpull::io
