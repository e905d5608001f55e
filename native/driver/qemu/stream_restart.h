// SPDX-License-Identifier: Apache-2.0
//
// Restarts a stream whose job was cancelled because it cannot be trusted. What was copied stays, so
// QEMU passes over it and copies the rest.
//
// The chain may have changed since, and the former active image may now lie below another one. Then
// nothing is started, because filling it would write to a backing file.
//
// Thread rule: any thread; `done` runs on the reactor's thread.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "driver/qemu/start_stream.h"

namespace blockpull::driver::qemu {

/// Returns the watch of the new job, opened before QEMU was asked for it. kGuestBusy while QEMU may
/// not write; kUnsupported if the chain has changed; QEMU's refusals as in start_stream().
void restart_stream(const std::shared_ptr<qmp::Monitor>& monitor, const StreamPlan& plan,
                    std::uint64_t bandwidth,
                    std::function<void(Result<std::shared_ptr<JobWatch>>)> done);

}  // namespace blockpull::driver::qemu
