// SPDX-License-Identifier: Apache-2.0
//
// The pull of a running guest's disk, as `virt` calls it. Either QEMU is asked for a job and a job
// of ours tracks it, or the pull is only planned. It also tracks orphaned jobs: our jobs in a QEMU
// whose process is gone.
//
// Thread rule: any thread; `done` runs on the reactor's thread, or on one that may block.

#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "driver/pull.h"
#include "driver/qemu/guest_plan.h"
#include "driver/qemu/start_stream.h"
#include "driver/qemu/stream_conclusion.h"
#include "job/engine.h"

namespace blockpull::driver::qemu {

class PreparedGuestPull : public PreparedPull {
 public:
  [[nodiscard]] virtual const StreamPlan& plan() const = 0;
  /// An earlier process started it; its limit and its `onError` may differ from this request's.
  [[nodiscard]] virtual bool was_there() const = 0;
  /// Shared with the job.
  [[nodiscard]] virtual std::shared_ptr<const GuestPullEnd> end() const = 0;
};

/// Either a job in QEMU that nobody here tracks yet, or the job of this process that tracks it.
struct GuestPullStart {
  std::unique_ptr<PreparedGuestPull> prepared;
  std::shared_ptr<job::Job> joined;
};

/// What prepare_guest_pull would ask QEMU for, and what would refuse it. Sends only queries. Fails
/// as view_guest() and preflight() do.
void plan_guest_pull(const std::shared_ptr<job::Engine>& engine,
                     const std::shared_ptr<qmp::Monitor>& monitor, const GuestPullOptions& options,
                     FindTrackedJob find_tracked_job, std::function<void(Result<GuestPlan>)> done);

/// Starts the job in QEMU, and then checks that it works on the chain that was planned. If not, the
/// job is cancelled, with the error of check_same_chain(). A job that is never start()ed is
/// cancelled too.
void prepare_guest_pull(const std::shared_ptr<job::Engine>& engine,
                        const std::shared_ptr<qmp::Monitor>& monitor,
                        const GuestPullOptions& options, const FindTrackedJob& find_tracked_job,
                        std::function<void(Result<GuestPullStart>)> done);

/// Tracks a job that QEMU has. kJobActive if this process tracks it already.
[[nodiscard]] Result<std::unique_ptr<PreparedGuestPull>> prepare_adoption(
    job::Engine& engine, const std::shared_ptr<qmp::Monitor>& monitor, StreamPlan plan);

}  // namespace blockpull::driver::qemu
