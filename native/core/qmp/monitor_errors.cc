// SPDX-License-Identifier: Apache-2.0

#include "core/qmp/monitor_errors.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"
#include "core/qmp/json.h"

namespace blockpull::qmp {
namespace {

constexpr std::string_view kRemedy =
    "give QEMU a monitor for blockpull with -qmp unix:PATH,server=on,wait=off";

Error unsupported(const std::string& name, std::string_view what, std::string_view remedy) {
  return make_error(ErrorKind::kUnsupported,
                    text("monitor '", name, "' is ", what, "; only the path of a UNIX socket is ",
                         "supported, so ", remedy));
}

/// "host:4444". A path that looks like that can be written with its folder.
bool is_host_and_port(std::string_view name) {
  const std::size_t colon = name.rfind(':');
  if (colon == std::string_view::npos || name.find('/') != std::string_view::npos) {
    return false;
  }
  const std::string_view port = name.substr(colon + 1);
  return !port.empty() && port.size() <= 5 &&
         std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_human_monitor(std::string_view received) {
  return received.find("monitor - type 'help'") != std::string_view::npos ||
         received.starts_with("(qemu)");
}

}  // namespace

std::optional<Error> refuse_address(const std::string& name) {
  if (name.starts_with("tcp:") || name.starts_with("telnet:") || is_host_and_port(name)) {
    return unsupported(name, "a TCP address", kRemedy);
  }
  if (name.starts_with('@')) {
    return unsupported(name, "an abstract socket", kRemedy);
  }
  if (name.starts_with("unix:")) {
    return unsupported(name, "written as for QEMU", "leave out 'unix:' and what follows a comma");
  }
  return std::nullopt;
}

Error no_qmp(const std::string& path, std::string_view received) {
  if (is_human_monitor(received)) {
    return make_error(ErrorKind::kInvalidArgument,
                      text("monitor '", path, "' is QEMU's human monitor, not QMP; ", kRemedy))
        .with_path(path);
  }
  const auto first = static_cast<unsigned char>(received.empty() ? '\0' : received.front());
  return make_error(
             ErrorKind::kInvalidArgument,
             text("monitor '", path, "' does not speak QMP: it starts with '", excerpt(received),
                  "' (byte ", Hex{first}, "), as a serial port or another program may; ", kRemedy))
      .with_path(path);
}

Error busy(const std::string& path, std::string_view what) {
  return make_error(ErrorKind::kMonitorBusy,
                    text("monitor '", path, "' ", what,
                         ": another program is connected to it, or QEMU hangs, or it is not a QMP "
                         "socket but a guest agent's, for example; QEMU serves one client at a "
                         "time, so give the guest a separate monitor for blockpull"))
      .with_path(path);
}

Error unanswered(const std::string& path, const std::string& command, Nanoseconds elapsed) {
  const auto elapsed_ms = std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count();
  Error error = make_error(ErrorKind::kMonitorTimeout,
                           text("QEMU behind '", path, "' has not answered '", command, "' for ",
                                elapsed_ms, " ms; it hangs, or waits for its storage"));
  error.qemu = QemuOrigin{command, {}, {}};
  return std::move(error).with_path(path);
}

Error qemu_error(const std::string& path, const std::string& command, CommandError said) {
  Error error = make_error(ErrorKind::kQemuError, text("unable to execute QEMU command '", command,
                                                       "': ", said.description));
  error.qemu = QemuOrigin{command, std::move(said.error_class), std::move(said.description)};
  return std::move(error).with_path(path);
}

}  // namespace blockpull::qmp
