// SPDX-License-Identifier: Apache-2.0
//
// Takes back a job of ours that nobody follows: QEMU may have begun it, and who asked for it was
// told that nothing was begun.
//
//     cancel ─▶ look ─▶ concluded ─▶ dismiss           not listed: done
//                ▲  │ not yet
//         0.1 s  └──┘ for 10 s
//
// One that was only cancelled would keep its images from all other jobs until it is dismissed.
//
// Thread rule: any thread.

#pragma once

#include <memory>
#include <string>

#include "core/qmp/monitor.h"

namespace blockpull::driver {

/// Does what can be done in the background. What is left of the job is found by who connects next.
void cancel_stream(const std::shared_ptr<qmp::Monitor>& monitor, const std::string& job_id);

}  // namespace blockpull::driver
