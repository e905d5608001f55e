// SPDX-License-Identifier: Apache-2.0

#include "core/io/sync_file.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockpull::io {

Result<bool> sync_file(const std::string& path, FileId id) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat about {};
  if (fd.get() < 0 || ::fstat(fd.get(), &about) != 0 || FileId{about.st_dev, about.st_ino} != id) {
    return false;
  }
  if (::fdatasync(fd.get()) != 0) {
    return system_error("fdatasync", errno, path);
  }
  return true;
}

}  // namespace blockpull::io
