// SPDX-License-Identifier: Apache-2.0
//
// What a view of a guest says about a pull of one of its disks, before anything is begun: the job
// that would be asked for, why it must not be, and whether that job is there already.
//
//     can this QEMU do it? ─▶ which disk? ─▶ plan_stream ─▶ who has our job?
//                                                             nobody           it is begun
//                                                             only QEMU        it is taken over
//                                                             a left-over job  it is joined
//                                                             any other job    refused
//
// A start and a plan both go by it, so that a plan cannot promise what a start refuses.
//
// Thread rule: on a thread that may block, as names are looked up.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "driver/qemu/guest_view.h"
#include "driver/qemu/stream_plan.h"
#include "job/job.h"

namespace blockpull::driver::qemu {

/// Who in this process follows a job of some id in that QEMU, if anybody does. A pull may join a
/// job that an earlier process began and that nobody here has asked for yet.
struct TrackedJob {
  bool is_there = false;
  /// Absent: it may not be joined.
  std::shared_ptr<job::Job> joinable;
};

using FindTrackedJob = std::function<TrackedJob(const std::string& node)>;

/// What a view says about a pull before anything is begun.
struct Preflight {
  StreamPlan plan;
  /// The disk's node in the graph.
  std::size_t top = 0;
  /// Why a start fails before QEMU is asked, in the order in which it would be told: those of
  /// plan_stream(), kUnsupported for a QEMU that lacks a command, kGuestBusy, kPolicy, kJobActive.
  std::vector<Error> refusals;
  /// kJobActive where another program's job works on what the stream would. A start leaves that to
  /// QEMU, which may think better of it; it is among `refusals` only before a later one.
  std::optional<Error> other_job;
  /// Our job, begun by an earlier process: a start takes it over.
  std::optional<StreamPlan> there;
  /// Who follows our job already and may be joined, whether QEMU still lists the job or not.
  std::shared_ptr<job::Job> tracked_job;
};

/// kNoDisk, kNoBase, or the first refusal where a QEMU that is too old does not tell of the disk.
[[nodiscard]] Result<Preflight> preflight(const GuestView& view, GuestPullOptions options,
                                          const FindTrackedJob& find_tracked_job);

}  // namespace blockpull::driver::qemu
