// SPDX-License-Identifier: Apache-2.0
//
// The commands that a pull needs, typed: how to send each, and what its answer means. Names and
// members are those of QEMU's "QMP reference manual". Only the commands in use are here.
//
// Pure functions.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/qmp/monitor.h"

namespace blockpull::qmp {

/// block-stream (QEMU 3.1): fills `device` from the layers below it, from all of them without a
/// base. QEMU dismisses the job itself. A concluded job that stays is a trap: QEMU 7.2 and 10.0 end
/// when somebody then lists the nodes.
struct BlockStream {
  std::string job_id;
  /// Node or device name.
  std::string device;
  /// The node that stays, and how the header of `device` names it then.
  std::optional<std::string> base_node;
  std::optional<std::string> backing_file;
  /// Bytes a second; 0 for no limit.
  std::uint64_t speed = 0;
  /// "report", "stop" or "enospc".
  std::string_view on_error = "report";
  /// True: QEMU finalizes the job by itself. False: the job waits at `pending` until job-finalize.
  bool auto_finalize = false;
};

[[nodiscard]] Command block_stream(const BlockStream& stream);
[[nodiscard]] Command job_cancel(std::string_view id);
[[nodiscard]] Command job_finalize(std::string_view id);
[[nodiscard]] Command job_pause(std::string_view id);
[[nodiscard]] Command job_resume(std::string_view id);
[[nodiscard]] Command block_job_resume(std::string_view id);
[[nodiscard]] Command block_job_set_speed(std::string_view id, std::uint64_t bytes_per_second);

/// JobStatus, in the order of a job's life.
enum class JobStatus : std::uint8_t {
  kCreated,
  kRunning,
  kPaused,
  kReady,
  kStandby,
  kWaiting,
  kPending,
  kAborting,
  kConcluded,
  kNull,
  /// A status that no QEMU had when this was written.
  kOther,
};

[[nodiscard]] JobStatus parse_job_status(std::string_view name);

/// An element of query-block-jobs.
struct BlockJob {
  std::string id;
  /// "stream".
  std::string type;
  JobStatus status = JobStatus::kOther;
  /// Guest bytes passed, and the virtual size; both 0 if there is nothing to do.
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::uint64_t speed = 0;
  bool auto_finalize = true;
  /// The error on which the job waits to be resumed, kNoSpace or kIo (`io-status`).
  std::optional<ErrorKind> stopped_on;
  /// Why it failed.
  std::optional<std::string> error;

  [[nodiscard]] bool is_pending() const { return status == JobStatus::kPending; }
  /// The job takes no command any more.
  [[nodiscard]] bool is_ending() const {
    return status == JobStatus::kAborting || status == JobStatus::kConcluded ||
           status == JobStatus::kNull;
  }
};

[[nodiscard]] Command query_block_jobs();
[[nodiscard]] std::vector<BlockJob> read_block_jobs(const Json& answer);

/// The job with that id, or nullptr.
[[nodiscard]] const BlockJob* find_job(const std::vector<BlockJob>& jobs, std::string_view id);

/// The id in a JOB_STATUS_CHANGE.
[[nodiscard]] std::optional<std::string> changed_job(const Event& event);

}  // namespace blockpull::qmp
