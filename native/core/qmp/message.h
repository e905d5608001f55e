// SPDX-License-Identifier: Apache-2.0
//
// The messages of a monitor, one kind each (QEMU's "QMP protocol specification"):
//
//     {"QMP": {"version": …, "capabilities": […]}}                     greeting, once, first
//     {"return": VALUE, "id": ID}                                      answer
//     {"error": {"class": CLASS, "desc": TEXT}, "id": ID}              refusal
//     {"event": NAME, "data": {…}, "timestamp": {…}}                   event, at any time
//
// Members may come in any order, and unknown members are ignored. An answer without an id belongs
// to no command of ours: QEMU could not even parse what it was sent.
//
// Pure functions.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "core/qmp/json.h"

namespace blockpull::qmp {

struct QemuVersion {
  std::uint64_t major = 0;
  std::uint64_t minor = 0;
  std::uint64_t micro = 0;

  auto operator<=>(const QemuVersion&) const = default;
};

struct Greeting {
  QemuVersion version;
};

/// A refusal in QEMU's words. Only a few values of the class mean anything.
struct CommandError {
  /// "GenericError", "CommandNotFound", "DeviceNotActive", "DeviceNotFound".
  std::string error_class;
  std::string description;
};

struct Reply {
  std::optional<std::uint64_t> id;
  /// The result of a success.
  Json value;
  std::optional<CommandError> error;
};

struct Event {
  /// "JOB_STATUS_CHANGE".
  std::string name;
  /// May be absent.
  Json data;
};

using Message = std::variant<Greeting, Reply, Event>;

/// kMonitorLost if `object` is not a QMP message.
[[nodiscard]] Result<Message> read_message(std::string_view object);

}  // namespace blockpull::qmp
