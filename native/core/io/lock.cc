// SPDX-License-Identifier: Apache-2.0
//
// Takes the locks, asks for conflicts, and gives everything back when there is one. Who holds a
// conflicting lock is a question of `lock_holder.h`; that it finds nobody changes no answer.

#include "core/io/lock.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

#include <fcntl.h>

#include "core/base/text.h"
#include "core/io/lock_holder.h"

namespace blockpull::io {
namespace {

constexpr off_t kUsedBase = 100;
constexpr off_t kUnsharedBase = 200;
constexpr unsigned kPermissions = 4;
constexpr unsigned kWrite = 1;

/// Bit i: permission i.
struct Claim {
  unsigned used = 0;
  unsigned unshared = 0;
};

Claim claim_of(LockRole role) {
  return role == LockRole::kWriter ? Claim{0b1111, 0b1110} : Claim{0b0001, 0b1010};
}

/// One byte, or the rest of the file from `start` for length 0.
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

Error conflict_error(PosixFile& file, off_t byte, pid_t known_pid) {
  const Holder holder = find_lock_holder(file, byte, known_pid);
  Error error = make_error(ErrorKind::kLocked, text("'", file.path(), "' is in use by ",
                                                    describe_holder(holder), "; ", advice(holder)));
  error.path = file.path();
  error.holder = describe_holder(holder);
  return error;
}

/// Takes a shared lock on the byte of every permission in `permissions`.
Result<void> take(PosixFile& file, off_t base, unsigned permissions) {
  for (unsigned i = 0; i < kPermissions; ++i) {
    if ((permissions >> i & 1U) == 0) {
      continue;
    }
    const off_t byte = base + static_cast<off_t>(i);
    struct flock lock = byte_lock(F_RDLCK, byte);
    if (::fcntl(file.fd(), F_OFD_SETLK, &lock) != 0) {
      return errno == EAGAIN || errno == EACCES ? conflict_error(file, byte, 0)
                                                : lock_error(errno, file.path());
    }
  }
  return {};
}

struct Conflict {
  off_t byte = 0;
  /// Of a POSIX lock; 0 for an open-file-description lock, which belongs to no process.
  pid_t pid = 0;
};

/// The first byte of `permissions` that somebody else has locked.
Result<std::optional<Conflict>> find_conflict(PosixFile& file, off_t base, unsigned permissions) {
  for (unsigned i = 0; i < kPermissions; ++i) {
    if ((permissions >> i & 1U) == 0) {
      continue;
    }
    const off_t byte = base + static_cast<off_t>(i);
    struct flock lock = byte_lock(F_WRLCK, byte);
    if (::fcntl(file.fd(), F_OFD_GETLK, &lock) != 0) {
      return lock_error(errno, file.path());
    }
    if (lock.l_type != F_UNLCK) {
      return std::optional<Conflict>({byte, lock.l_pid > 0 ? lock.l_pid : 0});
    }
  }
  return std::optional<Conflict>();
}

Result<void> take_and_compare(PosixFile& file, Claim claim) {
  BLOCKPULL_CHECK(take(file, kUsedBase, claim.used));
  BLOCKPULL_CHECK(take(file, kUnsharedBase, claim.unshared));
  BLOCKPULL_TRY(refuses_us, find_conflict(file, kUnsharedBase, claim.used));
  BLOCKPULL_TRY(refused_by_us, find_conflict(file, kUsedBase, claim.unshared));
  const std::optional<Conflict> conflict = refuses_us ? refuses_us : refused_by_us;
  if (conflict) {
    return conflict_error(file, conflict->byte, conflict->pid);
  }
  return {};
}

}  // namespace

Result<void> lock_image(PosixFile& file, LockRole role) {
  Result<void> locked = take_and_compare(file, claim_of(role));
  if (!locked.ok()) {
    struct flock unlock = byte_lock(F_UNLCK, kUsedBase, 0);
    // A failure leaves the locks until the file is closed, which is what happens next.
    static_cast<void>(::fcntl(file.fd(), F_OFD_SETLK, &unlock));
  }
  return locked;
}

std::string find_writer(PosixFile& file) {
  const Result<std::optional<Conflict>> writer = find_conflict(file, kUsedBase, 1U << kWrite);
  if (!writer.ok() || !*writer) {
    return {};
  }
  return describe_holder(find_lock_holder(file, (*writer)->byte, (*writer)->pid));
}

}  // namespace blockpull::io
