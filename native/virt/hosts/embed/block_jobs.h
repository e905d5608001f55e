// SPDX-License-Identifier: Apache-2.0
//
// libvirt's calls on the job of a domain's disk: info, speed, abort, with libvirt's checks in
// libvirt's order; and resume, which libvirt lacks. A job is found whoever started it in this
// process: this connection, another one, or a call on the bare image.
//
// The `try_` forms answer from memory, or not at all: an event loop asks them first, so that a
// query never waits behind the opening of some image. They answer whenever this connection's own
// job runs on that disk; a limit that a guest's QEMU has to accept they leave to the other form.
//
// Thread rule: any thread. All but the `try_` forms block for file operations, not for QEMU.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "virt/session/answer.h"
#include "virt/session/connection.h"

namespace blockpull::virt {

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
  BlockJobType type = BlockJobType::kPull;
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

/// virDomainGetBlockJobInfo; absent: no job on that disk.
void block_job_info(const std::shared_ptr<Connection>& connection, const DiskRequest& request,
                    Answer<std::optional<BlockJobInfo>> answer);
[[nodiscard]] std::optional<Result<std::optional<BlockJobInfo>>> try_block_job_info(
    Connection& connection, const DiskRequest& request);

/// virDomainBlockJobSetSpeed.
void block_job_set_speed(const std::shared_ptr<Connection>& connection, const SpeedRequest& request,
                         Answer<void> answer);
[[nodiscard]] std::optional<Result<void>> try_block_job_set_speed(Connection& connection,
                                                                  const SpeedRequest& request);

/// Lets a job that stopped on an error go on; nothing to do for one that has not.
void block_job_resume(const std::shared_ptr<Connection>& connection, const DiskRequest& request,
                      Answer<void> answer);

/// virDomainBlockJobAbort, but for its wait: gives the job that is being ended, whose when_ended()
/// ends the call; nullptr with the ASYNC flag, when it is over.
void block_job_abort(const std::shared_ptr<Connection>& connection, const DiskRequest& request,
                     Answer<std::shared_ptr<job::Job>> answer);

/// What a wait for that end has come to, when it is there: kMonitorTimeout, kClosed where the job
/// goes on in its QEMU without us.
[[nodiscard]] Result<void> end_of_wait(const job::Job& job);

/// libvirt's view of where a job is; absent once it has ended.
[[nodiscard]] std::optional<BlockJobInfo> info_of(const job::Progress& progress, Flags flags);

/// The job of this process that runs on that image, whoever started it, or nullptr.
[[nodiscard]] std::shared_ptr<job::Job> job_on_image(Connection& connection,
                                                     const std::string& path);

}  // namespace blockpull::virt
