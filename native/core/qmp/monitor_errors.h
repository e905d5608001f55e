// SPDX-License-Identifier: Apache-2.0
//
// The errors of a monitor, in words. Some users give the socket of QEMU's human monitor, or the
// text that they wrote behind -qmp. The error says that, rather than "shut off" or "connection
// broke".
//
// Pure functions.

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/qmp/message.h"

namespace blockpull::qmp {

/// kUnsupported for a name that is an address of another kind: TCP ("tcp:…", "host:4444"), an
/// abstract socket ("@name"), or a path with QEMU's words around it ("unix:…"). Absent for every
/// other name. Only for names at which there is no file.
[[nodiscard]] std::optional<Error> refuse_address(const std::string& name);

/// kInvalidArgument: the socket sent `received` in place of a greeting.
[[nodiscard]] Error no_qmp(const std::string& path, std::string_view received);

/// kMonitorBusy: somebody listens, and `what` happened in place of a greeting.
[[nodiscard]] Error busy(const std::string& path, std::string_view what);

/// kMonitorTimeout.
[[nodiscard]] Error unanswered(const std::string& path, const std::string& command,
                               Nanoseconds elapsed);

/// kQemuError, with QEMU's words.
[[nodiscard]] Error qemu_error(const std::string& path, const std::string& command,
                               CommandError said);

}  // namespace blockpull::qmp
