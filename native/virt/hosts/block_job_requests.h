// SPDX-License-Identifier: Apache-2.0
//
// What the calls on a domain's disk are asked, and what they answer: libvirt's arguments and
// structs, and what libvirt has no words for. One struct for each, from the bindings to the host.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/walk_watch.h"
#include "core/qmp/commands.h"
#include "driver/pull.h"
#include "job/job.h"
#include "virt/session/pull_start.h"
#include "virt/session/stated_formats.h"
#include "virt/session/timed_plan.h"

namespace blockpull::virt {

enum class PullCall : std::uint8_t { kBlockPull, kBlockRebase };

/// "virDomainBlockPull".
[[nodiscard]] const char* name_of(PullCall call);

/// Who waits for the job. One that nobody need wait for is QEMU's to go on with when this process
/// has gone: it stops at pending then, until the next connection, or a reap, brings it to its end.
/// Only a running domain has a QEMU.
enum class Finisher : std::uint8_t { kThisProcess, kWhoeverIsNext, kWhoeverIsNextWhereItRuns };

struct BlockPullRequest {
  PullCall call = PullCall::kBlockPull;
  std::string uuid;
  /// Target, or absolute path of the active layer.
  std::string disk;
  std::optional<std::string> base;
  /// A base that fits two layers is refused, rather than looked up as libvirt does.
  bool is_base_exact = false;
  /// MiB/s, or bytes a second if the flag says so; 0 for no limit.
  std::uint64_t bandwidth = 0;
  Flags flags = 0;
  Finisher finisher = Finisher::kThisProcess;
  /// A job of our own engine always ends with the first error.
  qmp::OnError on_error = qmp::OnError::kReport;
  /// Of a disk that is shut off; QEMU knows the formats of what it has open.
  BackingFormats backing_formats = {};
  /// Folders of images that may need what would be released.
  std::vector<std::string> siblings;
  /// Of a domain that is shut off.
  driver::TrailingPolicy trailing = driver::TrailingPolicy::kRefuse;
  /// Of a plan for a domain that is shut off: what would be moved is read.
  bool reads_data = false;
  /// By which a caller gives up waiting for a guest's QEMU; may be null.
  std::shared_ptr<PullStart> start;
};

/// The rest of a plan: reads the tables of the image's files, and blocks for as long as that takes.
using PlanReading = std::function<Result<TimedPlan>(const WalkWatch&)>;

struct DiskRequest {
  std::string uuid;
  /// Target, or absolute path of the active layer.
  std::string disk;
  Flags flags = 0;
};

struct SpeedRequest {
  DiskRequest disk;
  /// MiB/s, or bytes a second if the flag says so; 0 lifts the limit.
  std::uint64_t bandwidth = 0;
};

/// What a job does at the moment. A job in a guest's QEMU that somebody else brings to its end is
/// also pending when it has ended there and waits to be dismissed.
enum class JobDoes : std::uint8_t {
  kRun,
  /// Held still, for example while its guest is saved.
  kPause,
  /// Waits on an error until somebody resumes it.
  kStop,
  /// Has nothing left to copy, and waits to be finished.
  kWaitForEnd,
  /// Is being ended before it is done.
  kAbort,
};

/// "running", "paused", "stopped", "pending", "aborting".
[[nodiscard]] const char* name_of(JobDoes what);

/// virDomainBlockJobInfo, quirks included: `cur` never reaches `end`, and 0 of 0 is 0 of 1. What
/// comes after these four, libvirt's struct has no place for.
struct BlockJobInfo {
  BlockJobType type = BlockJobType::kUnknown;
  /// MiB/s rounded up, or bytes a second if the flag says so; 0 for no limit.
  std::uint64_t bandwidth = 0;
  std::uint64_t cur = 0;
  std::uint64_t end = 0;
  JobDoes does = JobDoes::kRun;
  /// The error on which it waits to be resumed.
  std::optional<ErrorKind> stopped_on;
  /// Another program's, which is only told of.
  bool is_foreign = false;
};

struct ReapedJob {
  std::string target;
  /// Path of the active layer.
  std::string path;
  job::Outcome outcome;
};

}  // namespace blockpull::virt
