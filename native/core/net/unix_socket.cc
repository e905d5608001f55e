// SPDX-License-Identifier: Apache-2.0

#include "core/net/unix_socket.h"

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "core/base/text.h"

namespace blockpull::net {
namespace {

/// The address of a socket, and what must stay open while it is used.
struct Address {
  sockaddr_un socket{};
  /// The socket's folder, if the path is too long; closed otherwise.
  UniqueFd folder;
  /// The socket's name in `folder`.
  std::string name;
};

constexpr std::size_t kLongest = sizeof(sockaddr_un::sun_path) - 1;

Address address_of(const std::string& path) {
  Address address;
  address.socket.sun_family = AF_UNIX;
  std::memcpy(address.socket.sun_path, path.c_str(), path.size());
  return address;
}

/// A path too long for sockaddr_un is reached through its folder, which the kernel finds by its
/// descriptor.
Result<Address> long_address_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  std::string name = path.substr(slash == std::string::npos ? 0 : slash + 1);
  UniqueFd opened(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!opened.is_open()) {
    return system_error("open", errno, path);
  }
  const std::string way = text("/proc/self/fd/", opened.get(), "/");
  if (way.size() + name.size() > kLongest) {
    return make_error(
               ErrorKind::kInvalidArgument,
               text("socket's file name '", name, "' has ", name.size(),
                    " bytes; a socket whose path is longer than ", kLongest, " bytes can have ",
                    kLongest - way.size(), ", so give it a shorter name"))
        .with_path(path);
  }
  Address address = address_of(way + name);
  address.folder = std::move(opened);
  address.name = std::move(name);
  return address;
}

/// Without /proc the folder cannot be reached. If the socket exists, a server may be there, and
/// must not be reported as absent.
bool is_out_of_reach(const Address& address, int error_number) {
  struct stat about {};

  return error_number == ENOENT && address.folder.is_open() &&
         ::fstatat(address.folder.get(), address.name.c_str(), &about, 0) == 0;
}

}  // namespace

int peer_process(int fd) {
  ucred peer{};
  socklen_t length = sizeof peer;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? peer.pid : 0;
}

Result<Connecting> connect_unix(const std::string& path) {
  struct stat about {};

  if (path.empty() || ::stat(path.c_str(), &about) != 0) {
    if (path.empty() || errno == ENOENT || errno == ENOTDIR) {
      return Connecting{};
    }
    return system_error("stat", errno, path);
  }
  BLOCKPULL_TRY(address, path.size() > kLongest ? long_address_of(path) : address_of(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.is_open()) {
    return system_error("socket", errno, path);
  }
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address.socket);
  if (::connect(fd.get(), generic, sizeof address.socket) == 0) {
    return Connecting{Reached::kConnected, std::move(fd)};
  }
  const int error_number = errno;
  if (error_number == EAGAIN) {
    return Connecting{Reached::kQueueFull, UniqueFd()};
  }
  // ENOTSOCK and the like: whatever the file is, nobody listens on it.
  const bool is_nobody = error_number == ECONNREFUSED || error_number == ENOENT ||
                         error_number == ENOTSOCK || error_number == EPROTOTYPE;
  if (is_out_of_reach(address, error_number)) {
    return make_error(
               ErrorKind::kUnsupported,
               text("socket path '", path, "' has ", path.size(), " bytes; a path of more than ",
                    kLongest, " needs /proc, which is not mounted, so mount it"))
        .with_path(path);
  }
  if (is_nobody) {
    return Connecting{};
  }
  return system_error("connect", error_number, path);
}

}  // namespace blockpull::net
