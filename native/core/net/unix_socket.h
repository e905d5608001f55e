// SPDX-License-Identifier: Apache-2.0
//
// One non-blocking connect to a UNIX socket, and what its outcome says of the server:
//
//     no socket, or nobody listens (ECONNREFUSED)   there is none
//     connected                                     there is one
//     the backlog is full (EAGAIN)                  there is one, and others wait for it
//
// A path that sockaddr_un cannot hold, 107 bytes, is reached through its folder.
//
// A UNIX connect succeeds or fails at once, so there is no deadline to keep.

#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace blockpull::net {

enum class Reached : std::uint8_t { kNobody, kConnected, kQueueFull };

struct Connecting {
  Reached reached = Reached::kNobody;
  /// Non-blocking; open when connected.
  UniqueFd fd;
};

/// The process that listens at the other end (SO_PEERCRED); 0 where that cannot be told.
[[nodiscard]] int peer_process(int fd);

/// kNobody for an empty path. kInvalidArgument for the name of a file that cannot be reached by its
/// folder either; kAccessDenied and the like where it cannot be told.
[[nodiscard]] Result<Connecting> connect_unix(const std::string& path);

}  // namespace blockpull::net
