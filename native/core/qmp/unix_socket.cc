// SPDX-License-Identifier: Apache-2.0

#include "core/qmp/unix_socket.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "core/base/text.h"

namespace blockpull::qmp {
namespace {

/// Nothing is wrong with the monitor, and a later try may find a descriptor.
Error no_socket(int error_number, const std::string& path) {
  Error error = system_error("socket", error_number, path);
  if (error_number == EMFILE || error_number == ENFILE) {
    error.kind = ErrorKind::kMonitorLost;
    error.message += "; each monitor needs a file descriptor, so raise RLIMIT_NOFILE (ulimit -n)";
  }
  return error;
}

}  // namespace

int peer_process(int fd) {
  ucred peer{};
  socklen_t length = sizeof peer;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? peer.pid : 0;
}

Result<Connecting> connect_monitor(const std::string& path) {
  struct stat about {};

  if (path.empty() || ::stat(path.c_str(), &about) != 0) {
    if (path.empty() || errno == ENOENT || errno == ENOTDIR) {
      return Connecting{};
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
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.is_open()) {
    return no_socket(errno, path);
  }
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(fd.get(), generic, sizeof address) == 0) {
    return Connecting{Reached::kConnected, std::move(fd)};
  }
  if (errno == EAGAIN) {
    return Connecting{Reached::kQueueFull, UniqueFd()};
  }
  // ENOTSOCK and the like: whatever lies there, no guest listens on it.
  if (errno == ECONNREFUSED || errno == ENOENT || errno == ENOTSOCK || errno == EPROTOTYPE) {
    return Connecting{};
  }
  return system_error("connect", errno, path);
}

}  // namespace blockpull::qmp
