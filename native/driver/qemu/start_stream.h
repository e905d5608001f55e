// SPDX-License-Identifier: Apache-2.0
//
// The way from "pull this disk of that guest" to a job that QEMU runs, and the way back to jobs of
// ours that somebody left.
//
//     view ─▶ preflight ─▶ our job there already?
//                             no  ─▶ listen for its end ─▶ block-stream
//                             yes ─▶ taken over, if it keeps the base that was asked for; its limit
//                                    is set anew, and it is resumed
//
// Whoever pulls a disk again after its process was killed need not know whether the connection has
// adopted the job that was left, or is about to: a pull joins it, who comes first notwithstanding.
//
// Thread rule: any thread; callbacks run on the reactor's thread.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/qmp/commands.h"
#include "driver/qemu/guest_view.h"
#include "driver/qemu/job_watch.h"
#include "driver/qemu/stream_plan.h"
#include "job/job.h"

namespace blockpull::driver {

/// Who in this process follows a job of some id in that QEMU, if anybody does. A pull may join a
/// job that an earlier process began and that nobody here has asked for yet.
struct Follower {
  bool is_there = false;
  /// Absent: it may not be joined.
  std::shared_ptr<job::Job> joinable;
};

using FindFollower = std::function<Follower(const std::string& job_id)>;

/// What a view says about a pull before anything is begun.
struct Preflight {
  StreamPlan plan;
  /// The disk's node in the graph, and the index of the layer that stays in the chain from there.
  std::size_t top = 0;
  std::size_t base = 0;
  /// Why a start fails before QEMU is asked, in the order in which it would be told: those of
  /// plan_stream(), kUnsupported for a QEMU that lacks a command, kJobActive.
  std::vector<Error> refusals;
  /// Our job, begun by an earlier process: a start takes it over.
  std::optional<StreamPlan> there;
  /// Who follows our job already and may be joined, whether QEMU still lists the job or not.
  std::shared_ptr<job::Job> follower;
};

/// Both a start and a plan go by it. kNoDisk, kNoBase, or the first refusal where a QEMU that is
/// too old does not tell of the disk.
[[nodiscard]] Result<Preflight> preflight(const GuestView& view, GuestPullOptions options,
                                          const FindFollower& find_follower);

/// A job that QEMU runs, what was asked of it, and ears for its end.
struct StartedStream {
  StreamPlan plan;
  std::shared_ptr<JobWatch> watch;
  /// QEMU had it already: an earlier process began it.
  bool was_there = false;
  /// Who follows it already; nothing is left to start then.
  std::shared_ptr<job::Job> follower;
};

/// The job that QEMU has started, or had already. Refusals are those of preflight();
/// QEMU's own come as kJobActive, kNoDisk, kNoBase, kReadOnly, kUnsupported, or kQemuError.
void start_stream(const std::shared_ptr<qmp::Monitor>& monitor, const GuestPullOptions& options,
                  FindFollower find_follower, std::function<void(Result<StartedStream>)> then);

/// The plan by which a job of ours that is found in `view` can be followed; absent for jobs of
/// others, and for one that has concluded, of which no news will come.
[[nodiscard]] std::optional<StreamPlan> plan_of_job(const GuestView& view,
                                                    const qmp::BlockJob& job);

}  // namespace blockpull::driver
