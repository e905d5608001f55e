// SPDX-License-Identifier: Apache-2.0

#include "core/qmp/monitor_socket.h"

#include <cerrno>

#include <unistd.h>

#include "core/qmp/monitor_errors.h"

namespace blockpull::qmp {
namespace {

bool exists(const std::string& path) {
  return !path.empty() && ::access(path.c_str(), F_OK) == 0;
}

}  // namespace

Result<net::Connecting> connect_monitor(const std::string& path) {
  auto connecting = net::connect_unix(path);
  if (!connecting.ok()) {
    Error error = std::move(connecting).error();
    // The monitor itself is fine, and a later attempt may find a free descriptor.
    if (error.error_number == EMFILE || error.error_number == ENFILE) {
      error.kind = ErrorKind::kMonitorLost;
    }
    return error;
  }
  if (connecting->reached == net::Reached::kNobody && !exists(path)) {
    if (auto refused = refuse_address(path)) {
      return *std::move(refused);
    }
  }
  return connecting;
}

}  // namespace blockpull::qmp
