// SPDX-License-Identifier: Apache-2.0
//
// Makes Errors; the mapping of errno to kind is the only table here.

#include "core/base/error.h"

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "core/base/text.h"

namespace blockpull {
namespace {

ErrorKind kind_of(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return ErrorKind::kNoSpace;
    case EACCES:
    case EPERM:
      return ErrorKind::kAccessDenied;
    case EROFS:
      return ErrorKind::kReadOnly;
    case ENOENT:
    case ENOTDIR:
      return ErrorKind::kNotFound;
    default:
      return ErrorKind::kIo;
  }
}

/// What to do if the file is fine and a later try may find a descriptor.
std::string_view remedy(int error_number) {
  switch (error_number) {
    case EMFILE:
      return "; each open image takes two file descriptors and each monitor one, so raise "
             "RLIMIT_NOFILE (ulimit -n) or run fewer jobs at once";
    case ENFILE:
      return "; this machine has no file descriptor left, so raise fs.file-max (sysctl) or end "
             "programs";
    default:
      return "";
  }
}

}  // namespace

Error Error::with_path(std::string_view file) && {
  if (path.empty()) {
    path = file;
  }
  return std::move(*this);
}

Error Error::with_cause(Error error) && {
  cause = std::make_shared<const Error>(std::move(error));
  return std::move(*this);
}

std::string errno_text(int error_number) {
  // This is glibc's own strerror_r, which may return a pointer outside the buffer. strerrordesc_np
  // is too new for the systems on which a prebuilt binary must run.
  char buffer[128];
  return ::strerror_r(error_number, buffer, sizeof buffer);
}

Error make_error(ErrorKind kind, std::string message) {
  Error error;
  error.kind = kind;
  error.message = std::move(message);
  return error;
}

Error system_error(std::string_view operation, int error_number, std::string_view path) {
  Error error;
  error.kind = kind_of(error_number);
  error.message =
      text(operation, " of '", path, "' failed: ", errno_text(error_number), remedy(error_number));
  error.error_number = error_number;
  error.system_call = operation;
  error.path = path;
  return error;
}

}  // namespace blockpull
