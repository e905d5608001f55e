// SPDX-License-Identifier: Apache-2.0
//
// Finds the plan of an orphaned job, by which an earlier process started it. All that remains of
// the plan is in QEMU. The job's id says that the job is ours and on which disk it works. The
// images that the job works on are those that drop out.
//
// Thread rule: on a thread that may block, as names are looked up.

#pragma once

#include <optional>

#include "core/qmp/commands.h"
#include "driver/qemu/guest_view.h"
#include "driver/qemu/stream_plan.h"

namespace blockpull::driver::qemu {

/// The plan for tracking a job of ours that is listed in `view`. Absent for jobs of other programs,
/// and for a job that has concluded, of which no more events will come.
[[nodiscard]] std::optional<StreamPlan> plan_of_job(const GuestView& view,
                                                    const qmp::BlockJob& job);

}  // namespace blockpull::driver::qemu
