// SPDX-License-Identifier: Apache-2.0
//
// From "pull this disk of that guest" to a job that QEMU runs.
//
//     view ─▶ preflight ─▶ our job there already?
//                             no  ─▶ listen for its end ─▶ block-stream, if a layer drops out
//                             yes ─▶ taken over as it is, if it keeps the requested base
//
// After a process was killed, its disk can simply be pulled again. The pull joins the orphaned job,
// whether the connection has adopted it already or is about to.
//
// Thread rule: any thread; callbacks run on the reactor's thread, or on one that may block.

#pragma once

#include <functional>
#include <memory>

#include "driver/qemu/job_watch.h"
#include "driver/qemu/preflight.h"

namespace blockpull::driver::qemu {

/// A job that QEMU runs, its plan, and the watch for its end. QEMU has no job if there is nothing
/// to do.
struct StartedStream {
  StreamPlan plan;
  std::shared_ptr<JobWatch> watch;
  /// The job that tracks it already; nothing remains to be started then.
  std::shared_ptr<job::Job> tracked_job;
};

/// The command that asks QEMU for the job of `plan`.
[[nodiscard]] qmp::Command command_for(const StreamPlan& plan, std::uint64_t bandwidth);

/// Whether QEMU refused that because it may not write to the image: for good, or while its guest is
/// migrated.
[[nodiscard]] bool is_read_only_refusal(const Error& error);

/// QEMU's refusal of that, with the kind that matches its words.
[[nodiscard]] Error refusal_of_stream(Error error);

/// The job that QEMU has started, or already had. Refusals are those of preflight(); QEMU's own
/// become kJobActive, kNoDisk, kNoBase, kReadOnly, kUnsupported, or kQemuError.
void start_stream(const std::shared_ptr<job::Host>& host,
                  const std::shared_ptr<qmp::Monitor>& monitor, const GuestPullOptions& options,
                  FindTrackedJob find_tracked_job, std::function<void(Result<StartedStream>)> done);

}  // namespace blockpull::driver::qemu
