// SPDX-License-Identifier: Apache-2.0
//
// The requests and answers of the calls on a domain's disk: libvirt's arguments and structs, and
// what libvirt has no words for. The bindings and the host use the same structs.

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

/// Who finishes the job. A job that nobody needs to wait for is left to QEMU when this process
/// exits. It then stays pending until the next connection, or a reap, finishes it. Only a running
/// domain has a QEMU.
enum class Finisher : std::uint8_t { kThisProcess, kWhoeverIsNext, kWhoeverIsNextWhereItRuns };

struct BlockPullRequest {
  PullCall call = PullCall::kBlockPull;
  std::string uuid;
  /// Target, or absolute path of the active layer.
  std::string disk;
  std::optional<std::string> base;
  /// Refuse a base that fits two layers; otherwise it is chosen as libvirt does.
  bool is_base_exact = false;
  /// MiB/s, or bytes a second if the flag says so; 0 for no limit.
  std::uint64_t bandwidth = 0;
  Flags flags = 0;
  Finisher finisher = Finisher::kThisProcess;
  /// Only for a running guest: a job of our own engine always ends at the first error.
  driver::OnError on_error = driver::OnError::kReport;
  /// Only for a disk that is shut off: QEMU knows the formats of the files that it has open.
  BackingFormats backing_formats = {};
  /// Folders with images that may need what would be released.
  std::vector<std::string> siblings;
  /// Only for a domain that is shut off.
  driver::TrailingPolicy trailing = driver::TrailingPolicy::kRefuse;
  /// Only for a plan on a domain that is shut off: also read the data that would be moved.
  bool reads_data = false;
  /// Lets a caller give up waiting for a guest's QEMU; may be null.
  std::shared_ptr<PullStart> start;
};

/// The rest of a plan: reads the tables of the image's files, and blocks while it does.
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

/// What a job does now. A job in a guest's QEMU that another process finishes is also pending when
/// it has ended there and waits to be dismissed.
enum class JobActivity : std::uint8_t {
  kRun,
  /// Paused, for example while its guest is saved.
  kPause,
  /// Stopped on an error until it is resumed.
  kStop,
  /// Has copied everything, and waits to be finished.
  kWaitForEnd,
  /// Is being ended early.
  kAbort,
};

/// "running", "paused", "stopped", "pending", "aborting".
[[nodiscard]] const char* name_of(JobActivity what);

/// virDomainBlockJobInfo, quirks included: `cur` never reaches `end`, and 0 of 0 is 0 of 1.
/// libvirt's struct has only the first four fields.
struct BlockJobInfo {
  BlockJobType type = BlockJobType::kUnknown;
  /// MiB/s rounded up, or bytes a second if the flag says so; 0 for no limit.
  std::uint64_t bandwidth = 0;
  std::uint64_t cur = 0;
  std::uint64_t end = 0;
  JobActivity does = JobActivity::kRun;
  /// The error on which it stopped.
  std::optional<ErrorKind> stopped_on;
  /// Another program's job, which we only report.
  bool is_foreign = false;
};

struct ReapedJob {
  std::string target;
  /// Path of the active layer.
  std::string path;
  job::Outcome outcome;
};

}  // namespace blockpull::virt
