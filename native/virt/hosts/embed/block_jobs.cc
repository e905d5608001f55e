// SPDX-License-Identifier: Apache-2.0
//
// Info, speed, resume and abort, each with the checks of libvirt's driver. As in libvirt, a
// bandwidth in MiB/s is checked before the disk is looked up.

#include "virt/hosts/embed/block_jobs.h"

#include <string_view>
#include <utility>

#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "driver/qemu/job_id.h"
#include "virt/guests/guest_jobs.h"
#include "virt/session/checks.h"

namespace blockpull::virt::embed {
namespace {

/// A disk, and the job on it that this process runs or tracks.
struct Located {
  FoundJob running;
  GuestDisk on;
  bool is_running = false;
};

Result<Located> locate(Connection& connection, const DiskRequest& request) {
  Located located;
  BLOCKPULL_TRY(domain, connection.domain_of(request.uuid));
  located.on.domain = std::move(domain);
  auto disk = find_disk(located.on.domain, request.disk);
  located.on.disk = disk.ok() ? *disk : undescribed_disk(request.disk);
  located.running.target = located.on.disk.target;
  if (auto own = connection.jobs().find(located.on.domain.uuid, request.disk)) {
    located.running.job = std::move(own->job);
    located.running.live_id = own->id;
    return located;
  }
  BLOCKPULL_TRY(state, connection.state_of(located.on.domain));
  located.is_running = state == DomainState::kRunning;
  if (!located.is_running) {
    BLOCKPULL_CHECK(std::move(disk));
    located.running.job = job_on_image(connection, located.on.disk.source);
  }
  return located;
}

/// Finds the job of a disk, in this process or in its guest's QEMU.
void find_job(const std::shared_ptr<Connection>& connection, const DiskRequest& request,
              const FindCall& call, const Answer<FoundJob>& done) {
  auto located = locate(*connection, request);
  if (!located.ok()) {
    done(std::move(located).error());
    return;
  }
  if (located->running.job != nullptr || !located->is_running) {
    done(std::move(located->running));
    return;
  }
  find_in_guest(connection, located->on, call, done);
}

/// 84: jobs of other programs are not touched.
Failure foreign_job(const FoundJob& running) {
  return report(ErrorKind::kJobActive,
                text("job '", running.untracked->id, "' on disk '", running.target,
                     "' belongs to another program and is left alone; end it there"));
}

/// 8 or 84: why a job that this process does not track is not changed.
Failure no_job_of_ours(const FoundJob& running) {
  return running.untracked ? foreign_job(running) : no_job_on(running.target);
}

/// 55: somebody has already asked for its end.
Failure being_ended(const FoundJob& running) {
  return report(ErrorKind::kJobActive, ErrorCode::kOperationInvalid, ErrorDomain::kQemu,
                text("block job on disk '", running.target, "' is still being ended"));
}

BlockJobType type_of_qemu_job(const qmp::BlockJob& job) {
  if (job.type == "stream") {
    return BlockJobType::kPull;
  }
  if (job.type == "mirror") {
    return BlockJobType::kCopy;
  }
  if (job.type == "commit") {
    return BlockJobType::kCommit;
  }
  return job.type == "backup" ? BlockJobType::kBackup : BlockJobType::kUnknown;
}

job::Phase phase_of(qmp::JobStatus status) {
  switch (status) {
    case qmp::JobStatus::kPaused:
    case qmp::JobStatus::kStandby:
      return job::Phase::kPaused;
    case qmp::JobStatus::kWaiting:
    case qmp::JobStatus::kPending:
    case qmp::JobStatus::kConcluded:
      return job::Phase::kPending;
    default:
      return job::Phase::kMoving;
  }
}

/// QEMU's numbers as libvirt reports them.
std::optional<BlockJobInfo> qemu_info_of(const qmp::BlockJob& job, Flags flags) {
  job::Progress progress;
  progress.settled = job.offset;
  progress.total = job.length;
  progress.bandwidth = job.speed;
  progress.stopped_on = job.stopped_on;
  progress.phase = phase_of(job.status);
  if (job.status == qmp::JobStatus::kAborting) {
    progress.state = job::State::kAborting;
  }
  auto info = info_of(progress, flags);
  if (info) {
    info->type = type_of_qemu_job(job);
    info->is_foreign = !driver::qemu::is_our_job(job.id);
  }
  return info;
}

Result<void> check_info_flags(Flags flags) {
  return check_flags(flags, flag::kJobInfoBandwidthBytes, "qemuDomainGetBlockJobInfo");
}

Result<void> check_speed(const SpeedRequest& request) {
  const Flags flags = request.disk.flags;
  BLOCKPULL_CHECK(check_flags(flags, flag::kJobSpeedBandwidthBytes, "qemuDomainBlockJobSetSpeed"));
  return check_bandwidth(request.bandwidth, (flags & flag::kJobSpeedBandwidthBytes) != 0);
}

Result<std::uint64_t> bandwidth_of(const SpeedRequest& request) {
  const bool in_bytes = (request.disk.flags & flag::kJobSpeedBandwidthBytes) != 0;
  return to_bytes_per_second(request.bandwidth, in_bytes);
}

/// QEMU's answer to a change of a job, as libvirt reports it.
Result<void> change_answer(blockpull::Result<void> said, const std::string& target) {
  if (said.ok()) {
    return {};
  }
  Error error = std::move(said).error();
  if (error.kind != ErrorKind::kNoJob) {
    return reported(std::move(error));
  }
  if (!error.qemu) {
    return no_job_on(target);
  }
  Failure failure = report(ErrorKind::kNoJob, ErrorCode::kOperationInvalid, ErrorDomain::kQemu,
                           text("No active block job '", target, "' (", error.message, ")"));
  failure.error = std::move(failure.error).with_cause(std::move(error));
  return failure;
}

void set_speed(const FoundJob& running, const SpeedRequest& request, const Answer<void>& done) {
  auto bandwidth = bandwidth_of(request);
  if (!bandwidth.ok()) {
    done(std::move(bandwidth).error());
    return;
  }
  running.job->try_bandwidth(*bandwidth,
                             [done, target = running.target](blockpull::Result<void> said) {
                               done(change_answer(std::move(said), target));
                             });
}

void resume(const FoundJob& running, const Answer<void>& done) {
  running.job->resume([done, target = running.target](blockpull::Result<void> said) {
    done(change_answer(std::move(said), target));
  });
}

Result<void> check_abort_flags(Flags flags) {
  return check_flags(flags, flag::kJobAbortAsync | flag::kJobAbortPivot, "qemuDomainBlockJobAbort");
}

/// Whether this call is the first to ask for the job's end.
bool claim_abort(Connection& connection, const FoundJob& running) {
  return running.job->progress().state == job::State::kRunning &&
         (running.live_id == 0 || connection.jobs().claim_abort(running.live_id));
}

Result<std::shared_ptr<job::Job>> abort(Connection& connection, const FoundJob& running,
                                        Flags flags) {
  if (running.job == nullptr) {
    return no_job_of_ours(running);
  }
  if (running.job->progress().state == job::State::kAborting) {
    return being_ended(running);
  }
  if ((flags & flag::kJobAbortPivot) != 0) {
    return report(ErrorKind::kUnsupported, ErrorCode::kBlockCopyActive, ErrorDomain::kQemu,
                  text("block job 'pull-", running.target, "' not ready for pivot yet"));
  }
  if (!claim_abort(connection, running)) {
    return being_ended(running);
  }
  running.job->stop(job::Stop::kCancel);
  const bool is_async = (flags & flag::kJobAbortAsync) != 0;
  return is_async ? nullptr : running.job;
}

JobActivity what_it_does(const job::Progress& progress) {
  if (progress.state == job::State::kAborting) {
    return JobActivity::kAbort;
  }
  if (progress.stopped_on) {
    return JobActivity::kStop;
  }
  switch (progress.phase) {
    case job::Phase::kPaused:
      return JobActivity::kPause;
    case job::Phase::kPending:
      return JobActivity::kWaitForEnd;
    default:
      return JobActivity::kRun;
  }
}

}  // namespace

std::optional<BlockJobInfo> info_of(const job::Progress& progress, Flags flags) {
  if (job::has_ended(progress.state)) {
    return std::nullopt;
  }
  BlockJobInfo info;
  info.type = type_of(progress.kind);
  info.bandwidth = (flags & flag::kJobInfoBandwidthBytes) != 0
                       ? progress.bandwidth
                       : divide_up(progress.bandwidth, limits::kMiB);
  info.cur = progress.settled;
  info.end = progress.total;
  info.does = what_it_does(progress);
  info.stopped_on = progress.stopped_on;
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

void block_job_info(const std::shared_ptr<Connection>& connection, const DiskRequest& request,
                    Answer<std::optional<BlockJobInfo>> done) {
  if (is_refused(check_info_flags(request.flags), done)) {
    return;
  }
  find_job(connection, request, {"virDomainGetBlockJobInfo", false},
           [done = std::move(done), flags = request.flags](Result<FoundJob> running) {
             if (!running.ok()) {
               done(std::move(running).error());
             } else if (running->job != nullptr) {
               done(info_of(running->job->progress(), flags));
             } else if (running->untracked) {
               done(qemu_info_of(*running->untracked, flags));
             } else {
               done(std::optional<BlockJobInfo>());
             }
           });
}

std::optional<Result<std::optional<BlockJobInfo>>> try_block_job_info(Connection& connection,
                                                                      const DiskRequest& request) {
  using Answer = Result<std::optional<BlockJobInfo>>;
  if (auto checked = check_info_flags(request.flags); !checked.ok()) {
    return Answer(std::move(checked).error());
  }
  const auto own = connection.jobs().find(request.uuid, request.disk);
  return own ? std::optional(Answer(info_of(own->job->progress(), request.flags))) : std::nullopt;
}

void block_job_set_speed(const std::shared_ptr<Connection>& connection, const SpeedRequest& request,
                         Answer<void> done) {
  if (is_refused(check_speed(request), done)) {
    return;
  }
  find_job(connection, request.disk, {"virDomainBlockJobSetSpeed", true},
           [done = std::move(done), request](Result<FoundJob> running) {
             if (!running.ok()) {
               done(std::move(running).error());
             } else if (running->job != nullptr) {
               set_speed(*running, request, done);
             } else {
               done(no_job_of_ours(*running));
             }
           });
}

std::optional<Result<void>> try_block_job_set_speed(Connection& connection,
                                                    const SpeedRequest& request) {
  if (auto checked = check_speed(request); !checked.ok()) {
    return checked;
  }
  const auto own = connection.jobs().find(request.disk.uuid, request.disk.disk);
  if (!own || own->is_in_guest) {
    return std::nullopt;
  }
  auto bandwidth = bandwidth_of(request);
  if (!bandwidth.ok()) {
    return Result<void>(std::move(bandwidth).error());
  }
  own->job->set_bandwidth(*bandwidth);
  return Result<void>();
}

void block_job_resume(const std::shared_ptr<Connection>& connection, const DiskRequest& request,
                      Answer<void> done) {
  if (is_refused(check_flags(request.flags, 0, "blockJobResume"), done)) {
    return;
  }
  find_job(connection, request, {"blockJobResume", true},
           [done = std::move(done)](Result<FoundJob> running) {
             if (!running.ok()) {
               done(std::move(running).error());
             } else if (running->job != nullptr) {
               resume(*running, done);
             } else {
               done(no_job_of_ours(*running));
             }
           });
}

void block_job_abort(const std::shared_ptr<Connection>& connection, const DiskRequest& request,
                     Answer<std::shared_ptr<job::Job>> done) {
  if (is_refused(check_abort_flags(request.flags), done)) {
    return;
  }
  find_job(connection, request, {"virDomainBlockJobAbort", true},
           [connection, done = std::move(done), request](Result<FoundJob> running) {
             done(running.ok() ? abort(*connection, *running, request.flags)
                               : std::move(running).error());
           });
}

}  // namespace blockpull::virt::embed
