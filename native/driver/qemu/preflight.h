// SPDX-License-Identifier: Apache-2.0
//
// Checks a pull of one disk against a view of its guest before anything is started: which job would
// be requested, why it must not be, and whether that job is there already.
//
//     can this QEMU do it? ─▶ which disk? ─▶ plan_stream ─▶ who has our job?
//                                                             nobody           it is started
//                                                             only QEMU        it is taken over
//                                                             an orphaned job  it is joined
//                                                             any other job    refused
//
// A start and a plan both use it, so that a plan cannot promise what a start refuses.
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

/// The tracker, in this process, of a job with some id in that QEMU. A pull may join a job that an
/// earlier process started and that nobody here has asked for yet.
struct TrackedJob {
  bool is_there = false;
  /// Absent if it may not be joined.
  std::shared_ptr<job::Job> joinable;
};

using FindTrackedJob = std::function<TrackedJob(const std::string& node)>;

/// The result for one pull.
struct Preflight {
  StreamPlan plan;
  /// The disk's node in the graph.
  std::size_t top = 0;
  /// Why a start fails before QEMU is asked, in the order of reporting: refusals of plan_stream(),
  /// kUnsupported for a QEMU that lacks a command, kGuestBusy, kPolicy, kJobActive.
  std::vector<Error> refusals;
  /// kJobActive if another program's job works on images of the stream. A start leaves this to
  /// QEMU, which may decide otherwise. It is among `refusals` only before a later refusal.
  std::optional<Error> other_job;
  /// Our job, started by an earlier process: a start takes it over.
  std::optional<StreamPlan> there;
  /// The job that tracks it already and may be joined, whether QEMU still lists it or not.
  std::shared_ptr<job::Job> tracked_job;
};

/// kNoDisk, kNoBase, or the first refusal if a QEMU that is too old does not show the disk.
[[nodiscard]] Result<Preflight> preflight(const GuestView& view, GuestPullOptions options,
                                          const FindTrackedJob& find_tracked_job);

}  // namespace blockpull::driver::qemu
