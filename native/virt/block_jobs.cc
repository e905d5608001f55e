// SPDX-License-Identifier: Apache-2.0
//
// Info, speed and abort. Each begins with what libvirt's public entry point refuses and goes on
// with its driver's checks; a bandwidth in MiB/s is judged before the disk is looked for, as there.

#include "virt/block_jobs.h"

#include <string_view>
#include <utility>

#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "virt/checks.h"

namespace blockpull::virt {
namespace {

constexpr CallNames kSetSpeed{"virDomainBlockJobSetSpeed", "qemuDomainBlockJobSetSpeed"};
constexpr CallNames kInfo{"virDomainGetBlockJobInfo", "qemuDomainGetBlockJobInfo"};
constexpr CallNames kAbort{"virDomainBlockJobAbort", "qemuDomainBlockJobAbort"};

/// A job on a disk, and who it belongs to: `id` is of this connection's table, 0 when it is not in
/// there.
struct RunningJob {
  std::shared_ptr<job::Job> job;
  std::uint64_t id = 0;
  std::string target;
};

/// `job` is absent when nothing runs on that disk.
Result<RunningJob> find_job(Connection& connection, const DiskRequest& request) {
  BLOCKPULL_TRY(domain, connection.domain_of(request.uuid));
  BLOCKPULL_TRY(disk, find_disk(domain, request.disk));
  if (auto own = connection.jobs().find(domain.uuid, disk.target)) {
    return RunningJob{std::move(own->job), own->id, disk.target};
  }
  return RunningJob{job_on_image(connection, disk.source), 0, disk.target};
}

Result<void> check_info_call(const Connection& connection, const DiskRequest& request) {
  BLOCKPULL_CHECK(connection.check_open(kInfo.entry));
  return check_flags(request.flags, flag::kJobInfoBandwidthBytes, kInfo.driver);
}

Result<void> check_speed_call(const Connection& connection, const SpeedRequest& request) {
  const Flags flags = request.disk.flags;
  BLOCKPULL_CHECK(connection.check_open(kSetSpeed.entry));
  BLOCKPULL_CHECK(check_writable(connection.is_read_only(), kSetSpeed.entry));
  BLOCKPULL_CHECK(check_flags(flags, flag::kJobSpeedBandwidthBytes, kSetSpeed.driver));
  return check_bandwidth(request.bandwidth, (flags & flag::kJobSpeedBandwidthBytes) != 0);
}

Result<void> set_speed(job::Job& job, const SpeedRequest& request) {
  const bool in_bytes = (request.disk.flags & flag::kJobSpeedBandwidthBytes) != 0;
  BLOCKPULL_TRY(bytes_per_second, to_bytes_per_second(request.bandwidth, in_bytes));
  job.set_bandwidth(bytes_per_second);
  return {};
}

/// Whether this call is the first to end the job.
bool claim_abort(Connection& connection, const RunningJob& running) {
  return running.job->progress().state == job::State::kRunning &&
         (running.id == 0 || connection.jobs().claim_abort(running.id));
}

}  // namespace

std::optional<BlockJobInfo> info_of(const job::Progress& progress, Flags flags) {
  if (job::has_ended(progress.state)) {
    return std::nullopt;
  }
  BlockJobInfo info;
  info.bandwidth = (flags & flag::kJobInfoBandwidthBytes) != 0
                       ? progress.bandwidth
                       : divide_up(progress.bandwidth, limits::kMiB);
  info.cur = progress.settled;
  info.end = progress.total;
  if (info.end == 0) {
    info.end = 1;
  } else if (info.cur == info.end) {
    info.cur -= 1;  // never "done" while it can still fail
  }
  return info;
}

std::shared_ptr<job::Job> job_on_image(Connection& connection, const std::string& path) {
  const auto disk = io::identify(path);
  if (!disk.ok()) {
    return nullptr;
  }
  auto job = connection.engine().registry().find(*disk);
  return job != nullptr && !job::has_ended(job->progress().state) ? job : nullptr;
}

Result<std::optional<BlockJobInfo>> block_job_info(Connection& connection,
                                                   const DiskRequest& request) {
  BLOCKPULL_CHECK(check_info_call(connection, request));
  BLOCKPULL_TRY(running, find_job(connection, request));
  if (running.job == nullptr) {
    return std::optional<BlockJobInfo>();
  }
  return info_of(running.job->progress(), request.flags);
}

std::optional<Result<std::optional<BlockJobInfo>>> try_block_job_info(Connection& connection,
                                                                      const DiskRequest& request) {
  using Answer = Result<std::optional<BlockJobInfo>>;
  if (auto checked = check_info_call(connection, request); !checked.ok()) {
    return Answer(std::move(checked).error());
  }
  const auto own = connection.jobs().find(request.uuid, request.disk);
  return own ? std::optional(Answer(info_of(own->job->progress(), request.flags))) : std::nullopt;
}

Result<void> block_job_set_speed(Connection& connection, const SpeedRequest& request) {
  BLOCKPULL_CHECK(check_speed_call(connection, request));
  BLOCKPULL_TRY(running, find_job(connection, request.disk));
  return running.job == nullptr ? no_job_on(running.target) : set_speed(*running.job, request);
}

std::optional<Result<void>> try_block_job_set_speed(Connection& connection,
                                                    const SpeedRequest& request) {
  if (auto checked = check_speed_call(connection, request); !checked.ok()) {
    return checked;
  }
  const auto own = connection.jobs().find(request.disk.uuid, request.disk.disk);
  return own ? std::optional(set_speed(*own->job, request)) : std::nullopt;
}

Result<std::shared_ptr<job::Job>> block_job_abort(Connection& connection,
                                                  const DiskRequest& request) {
  BLOCKPULL_CHECK(connection.check_open(kAbort.entry));
  BLOCKPULL_CHECK(check_writable(connection.is_read_only(), kAbort.entry));
  BLOCKPULL_CHECK(
      check_flags(request.flags, flag::kJobAbortAsync | flag::kJobAbortPivot, kAbort.driver));
  BLOCKPULL_TRY(running, find_job(connection, request));
  if (running.job == nullptr) {
    return no_job_on(running.target);
  }
  if (running.job->progress().state == job::State::kAborting) {
    return report(ErrorKind::kJobActive, ErrorCode::kOperationInvalid, ErrorDomain::kQemu,
                  text("block job on disk '", running.target, "' is still being ended"));
  }
  if ((request.flags & flag::kJobAbortPivot) != 0) {
    return report(ErrorKind::kUnsupported, ErrorCode::kBlockCopyActive, ErrorDomain::kQemu,
                  text("block job 'pull-", running.target, "' not ready for pivot yet"));
  }
  if (!claim_abort(connection, running)) {
    return report(ErrorKind::kJobActive, ErrorCode::kOperationInvalid, ErrorDomain::kQemu,
                  text("block job on disk '", running.target, "' is still being ended"));
  }
  running.job->stop(job::Stop::kCancel);
  const bool is_async = (request.flags & flag::kJobAbortAsync) != 0;
  return is_async ? nullptr : std::move(running.job);
}

}  // namespace blockpull::virt
