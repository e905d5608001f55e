// SPDX-License-Identifier: Apache-2.0
//
// One non-blocking connect. On a UNIX socket it succeeds or fails at once, so there is no deadline
// to keep.

#include "virt/monitor_socket.h"

#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "core/base/text.h"
#include "core/base/unique_fd.h"

namespace blockpull::virt {

blockpull::Result<bool> monitor_answers(const std::string& path) {
  struct stat about {};

  if (path.empty() || ::stat(path.c_str(), &about) != 0) {
    if (path.empty() || errno == ENOENT || errno == ENOTDIR) {
      return false;
    }
    return system_error("stat", errno, path);
  }
  sockaddr_un address{};
  constexpr std::size_t kLongest = sizeof address.sun_path - 1;
  if (path.size() > kLongest) {
    return make_error(
               ErrorKind::kInvalidArgument,
               text("monitor path '", path, "' has ", path.size(),
                    " bytes; a socket's path has at most ", kLongest, ", so use a shorter folder"))
        .with_path(path);
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.is_open()) {
    return system_error("socket", errno, path);
  }
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(fd.get(), generic, sizeof address) == 0 || errno == EAGAIN) {
    return true;
  }
  // ENOTSOCK and the like: whatever lies there, no guest listens on it.
  if (errno == ECONNREFUSED || errno == ENOENT || errno == ENOTSOCK || errno == EPROTOTYPE) {
    return false;
  }
  return system_error("connect", errno, path);
}

}  // namespace blockpull::virt
