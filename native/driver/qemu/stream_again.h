// SPDX-License-Identifier: Apache-2.0
//
// The same stream once more, after its job was cancelled because it cannot be trusted. What was
// copied stays, so QEMU goes over it and copies the rest.
//
// Between the two anybody may have changed the chain, and the node that was the active image may
// lie below another by now. Then nothing is begun: to fill it would be to write a backing file.
//
// Thread rule: any thread; `then` runs on the reactor's thread.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "driver/qemu/start_stream.h"

namespace blockpull::driver::qemu {

/// Gives the ears for the new job's end, opened before it was asked for: it can end before QEMU has
/// answered. kGuestBusy while QEMU may not write; kUnsupported where the chain is another one;
/// QEMU's refusals as start_stream() has them.
void begin_stream_again(const std::shared_ptr<qmp::Monitor>& monitor, const StreamPlan& plan,
                        std::uint64_t bytes_per_second,
                        std::function<void(Result<std::shared_ptr<JobWatch>>)> then);

}  // namespace blockpull::driver::qemu
