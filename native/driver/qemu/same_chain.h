// SPDX-License-Identifier: Apache-2.0
//
// Whether a disk still has the chain that a stream was planned for. Between our look at it and the
// moment that QEMU begins anybody may take a snapshot:
//
//     seen        vda ──▶ "top" ──▶ "base"
//     by then     vda ──▶ "snap" ──▶ "top" ──▶ "base"
//
// and to fill "top" is to write a backing file by then.
//
// Pure.

#pragma once

#include "driver/qemu/guest_view.h"
#include "driver/qemu/stream_plan.h"

namespace blockpull::driver::qemu {

/// kUnsupported where it is another one: other layers, other sizes, or something above it.
[[nodiscard]] Result<void> check_same_chain(const GuestView& view, const StreamPlan& plan);

}  // namespace blockpull::driver::qemu
