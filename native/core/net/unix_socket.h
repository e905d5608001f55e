// SPDX-License-Identifier: Apache-2.0
//
// One non-blocking connect to a UNIX socket, and what its outcome says about the server:
//
//     no socket, or nobody listens (ECONNREFUSED)   there is none
//     connected                                     there is one
//     the backlog is full (EAGAIN)                  there is one, and others wait for it
//
// A path that does not fit into sockaddr_un (107 bytes) is reached through its folder.
//
// A UNIX connect succeeds or fails at once, so it needs no deadline.

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

/// The process that listens at the other end (SO_PEERCRED); 0 if unknown.
[[nodiscard]] int peer_process(int fd);

/// kNobody for an empty path. kInvalidArgument for a name that cannot be reached through its folder
/// either. kAccessDenied and the like if it cannot be determined.
[[nodiscard]] Result<Connecting> connect_unix(const std::string& path);

}  // namespace blockpull::net
