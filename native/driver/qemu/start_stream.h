// SPDX-License-Identifier: Apache-2.0
//
// The way from "pull this disk of that guest" to a job that QEMU runs.
//
//     view ─▶ preflight ─▶ our job there already?
//                             no  ─▶ listen for its end ─▶ block-stream, if a layer drops out
//                             yes ─▶ taken over as it is, if it keeps the base that was asked for
//
// Whoever pulls a disk again after its process was killed need not know whether the connection has
// adopted the job that was left, or is about to: a pull joins it, who comes first notwithstanding.
//
// Thread rule: any thread; callbacks run on the reactor's thread, or on one that may block.

#pragma once

#include <functional>
#include <memory>

#include "driver/qemu/job_watch.h"
#include "driver/qemu/preflight.h"

namespace blockpull::driver::qemu {

/// A job that QEMU runs, what was asked of it, and ears for its end. QEMU has none where there is
/// nothing to do.
struct StartedStream {
  StreamPlan plan;
  std::shared_ptr<JobWatch> watch;
  /// Who follows it already; nothing is left to start then.
  std::shared_ptr<job::Job> tracked_job;
};

/// Asks QEMU for the job of `plan`.
[[nodiscard]] qmp::Command command_for(const StreamPlan& plan, std::uint64_t bandwidth);

/// Whether that was refused as QEMU may not write to the image: for good, or while its guest is
/// migrated.
[[nodiscard]] bool is_read_only_refusal(const Error& error);

/// QEMU's refusal of that, with the kind that its words stand for.
[[nodiscard]] Error refusal_of_stream(Error error);

/// The job that QEMU has started, or had already. Refusals are those of preflight();
/// QEMU's own come as kJobActive, kNoDisk, kNoBase, kReadOnly, kUnsupported, or kQemuError.
void start_stream(const std::shared_ptr<job::Host>& host,
                  const std::shared_ptr<qmp::Monitor>& monitor, const GuestPullOptions& options,
                  FindTrackedJob find_tracked_job, std::function<void(Result<StartedStream>)> done);

}  // namespace blockpull::driver::qemu
