// SPDX-License-Identifier: Apache-2.0
//
// The way from "pull this disk of that guest" to a job that QEMU runs, and the way back to jobs of
// ours that somebody left.
//
//     reach ─▶ jobs and images ─▶ plan ─▶ our job there already?
//                                           no  ─▶ listen for its end ─▶ block-stream
//                                           yes ─▶ taken over, if it keeps the base that was asked
//                                                  for; its limit is set anew
//
// Thread rule: any thread; callbacks run on the reactor's thread.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/qmp/commands.h"
#include "driver/qemu/guest_view.h"
#include "driver/qemu/job_watch.h"
#include "driver/qemu/stream_plan.h"

namespace blockpull::driver {

/// A job that QEMU runs, what was asked of it, and ears for its end.
struct StartedStream {
  StreamPlan plan;
  std::shared_ptr<JobWatch> watch;
  /// QEMU had it already: an earlier process began it.
  bool was_there = false;
};

/// The job that QEMU has started, or had already. Refusals are those of plan_stream();
/// QEMU's own come as kJobActive, kNoDisk, kNoBase, kReadOnly, kUnsupported, or kQemuError.
/// `is_followed` says whether this process has a job of that id there.
void start_stream(const std::shared_ptr<qmp::Monitor>& monitor, const GuestPullOptions& options,
                  std::function<bool(const std::string&)> is_followed,
                  std::function<void(Result<StartedStream>)> then);

/// The plan by which a job of ours that is found in `view` can be followed; absent for jobs of
/// others, and for one that has concluded, of which no news will come.
[[nodiscard]] std::optional<StreamPlan> plan_of_job(const GuestView& view,
                                                    const qmp::BlockJob& job);

}  // namespace blockpull::driver
