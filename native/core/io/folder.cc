// SPDX-License-Identifier: Apache-2.0

#include "core/io/folder.h"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "core/base/unique_fd.h"

namespace blockpull::io {

std::string_view folder_part(std::string_view path) {
  return path.substr(0, path.rfind('/') + 1);
}

Result<void> sync_folder(const std::string& path) {
  const std::string_view part = folder_part(path);
  const std::string folder = part.empty() ? "." : std::string(part);
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.is_open() || ::fsync(fd.get()) != 0) {
    return system_error("fsync", errno, folder);
  }
  return {};
}

}  // namespace blockpull::io
