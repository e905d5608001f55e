// SPDX-License-Identifier: Apache-2.0
//
// What can be wrong with a monitor, in words. Users give the socket of QEMU's human monitor, or
// what they wrote behind -qmp, and then have to hear that rather than that their guest is shut off,
// or that the connection broke.
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
/// other name. To be asked about names that are no file.
[[nodiscard]] std::optional<Error> refuse_address(const std::string& name);

/// kInvalidArgument: the socket sent `received` where a greeting was due.
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
