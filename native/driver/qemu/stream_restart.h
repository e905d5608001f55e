// SPDX-License-Identifier: Apache-2.0
//
// Restarts a stream whose job was cancelled because it cannot be trusted. What was copied stays, so
// QEMU passes over it and copies the rest.
//
// Anybody may have changed the chain since, and the node that was the active image may lie below
// another one now. Then nothing is started: filling it would write to a backing file.
//
// Thread rule: any thread; `done` runs on the reactor's thread.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "driver/qemu/start_stream.h"

namespace blockpull::driver::qemu {

/// Gives the watch of the new job, which began before the job was asked for. kGuestBusy while QEMU
/// may not write; kUnsupported where the chain is another one; QEMU's refusals as those of
/// start_stream().
void restart_stream(const std::shared_ptr<qmp::Monitor>& monitor, const StreamPlan& plan,
                    std::uint64_t bandwidth,
                    std::function<void(Result<std::shared_ptr<JobWatch>>)> done);

}  // namespace blockpull::driver::qemu
