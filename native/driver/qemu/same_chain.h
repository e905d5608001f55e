// SPDX-License-Identifier: Apache-2.0
//
// Whether a disk still has the chain that a stream was planned for. Anybody may take a snapshot
// between our view and the moment when QEMU starts the job:
//
//     seen        vda ──▶ "top" ──▶ "base"
//     at start    vda ──▶ "snap" ──▶ "top" ──▶ "base"
//
// Filling "top" then means writing to a backing file.
//
// Pure.

#pragma once

#include "driver/qemu/guest_view.h"
#include "driver/qemu/stream_plan.h"

namespace blockpull::driver::qemu {

/// kUnsupported if the chain has changed: other layers, other sizes, or an image above it.
[[nodiscard]] Result<void> check_same_chain(const GuestView& view, const StreamPlan& plan);

}  // namespace blockpull::driver::qemu
