// SPDX-License-Identifier: Apache-2.0
//
// The way back from a job that a QEMU has to the plan that an earlier process began it by. All that
// is left of the plan is in QEMU: the job's id says that it is ours and on which disk, and the
// images that the job works on are those that drop out.
//
// Thread rule: on a thread that may block, as names are looked up.

#pragma once

#include <optional>

#include "core/qmp/commands.h"
#include "driver/qemu/guest_view.h"
#include "driver/qemu/stream_plan.h"

namespace blockpull::driver::qemu {

/// The plan by which a job of ours that is found in `view` can be followed; absent for jobs of
/// others, and for one that has concluded, of which no news will come.
[[nodiscard]] std::optional<StreamPlan> plan_of_job(const GuestView& view,
                                                    const qmp::BlockJob& job);

}  // namespace blockpull::driver::qemu
