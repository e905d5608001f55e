// SPDX-License-Identifier: Apache-2.0
//
// The pull of a running guest's disk, as `virt` calls it: QEMU is asked for a job, and a job of
// ours follows it; or it is only told what that would be. Also jobs of ours that are found in a
// QEMU: an earlier process started them and is gone.
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
  /// An earlier process began it: its limit, and what an error does, may not be those asked for.
  [[nodiscard]] virtual bool was_there() const = 0;
  /// Shared with the job.
  [[nodiscard]] virtual std::shared_ptr<const GuestPullEnd> end() const = 0;
};

/// Either a job that QEMU has and nobody here follows yet, or the one that follows it.
struct GuestPullStart {
  std::unique_ptr<PreparedGuestPull> prepared;
  std::shared_ptr<job::Job> joined;
};

/// What prepare_guest_pull would ask QEMU for, and what would refuse it. Only queries are sent.
/// Fails as view_guest() and preflight() do.
void plan_guest_pull(const std::shared_ptr<job::Engine>& engine,
                     const std::shared_ptr<qmp::Monitor>& monitor, const GuestPullOptions& options,
                     FindTrackedJob find_tracked_job, std::function<void(Result<GuestPlan>)> done);

/// Has QEMU start the job, and looks whether it works on the chain that was planned for: if not, it
/// is cancelled, with the reason of check_same_chain(). One that is not start()ed in the end is
/// cancelled, too.
void prepare_guest_pull(const std::shared_ptr<job::Engine>& engine,
                        const std::shared_ptr<qmp::Monitor>& monitor,
                        const GuestPullOptions& options, const FindTrackedJob& find_tracked_job,
                        std::function<void(Result<GuestPullStart>)> done);

/// Follows a job that QEMU has. kJobActive when this process follows it already.
[[nodiscard]] Result<std::unique_ptr<PreparedGuestPull>> prepare_adoption(
    job::Engine& engine, const std::shared_ptr<qmp::Monitor>& monitor, StreamPlan plan);

}  // namespace blockpull::driver::qemu
