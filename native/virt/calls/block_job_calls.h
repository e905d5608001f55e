// SPDX-License-Identifier: Apache-2.0
//
// libvirt's calls on the block job of a disk, with the refusals of its entry points, in libvirt's
// order. The driver does the rest, as libvirt's drivers do. Three of the calls are not libvirt's:
// plan, resume and reap.
//
// Thread rule: any thread; a call may block for file operations. The `try_` forms never block: they
// answer from memory, or return nothing.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "virt/calls/connect.h"

namespace blockpull::virt {

/// virDomainBlockPull and virDomainBlockRebase. Answers once the job runs. `on_end` is called with
/// its outcome on the engine's thread, after the connection's event.
void block_pull(const std::shared_ptr<Connect>& connect, const BlockPullRequest& request,
                std::function<void(const job::Outcome&)> on_end,
                Answer<std::shared_ptr<job::Job>> done);

/// What block_pull would do. Answers once the disk is found and, for a running domain, QEMU has
/// listed its open files. Refusals because of the image itself are part of the plan; so is, under a
/// running guest, the job that already runs on the disk. It changes nothing, so a read-only
/// connection may call it.
void plan_block_pull(const std::shared_ptr<Connect>& connect, const BlockPullRequest& request,
                     Answer<PlanReading> done);

/// virDomainGetBlockJobInfo. Absent: there is no job on that disk.
void block_job_info(const std::shared_ptr<Connect>& connect, const DiskRequest& request,
                    Answer<std::optional<BlockJobInfo>> done);
[[nodiscard]] std::optional<Result<std::optional<BlockJobInfo>>> try_block_job_info(
    Connect& connect, const DiskRequest& request);

/// virDomainBlockJobSetSpeed.
void block_job_set_speed(const std::shared_ptr<Connect>& connect, const SpeedRequest& request,
                         Answer<void> done);
[[nodiscard]] std::optional<Result<void>> try_block_job_set_speed(Connect& connect,
                                                                  const SpeedRequest& request);

/// Continues a job that stopped on an error. Does nothing to any other job.
void block_job_resume(const std::shared_ptr<Connect>& connect, const DiskRequest& request,
                      Answer<void> done);

/// virDomainBlockJobAbort: answers when the job has ended, or at once with the ASYNC flag.
/// kMonitorTimeout or kClosed when the job continues in its QEMU without us.
void block_job_abort(const std::shared_ptr<Connect>& connect, const DiskRequest& request,
                     Answer<void> done);

/// Answers once every job of ours in the domain's QEMU has ended and its disks are flushed.
void reap_jobs(const std::shared_ptr<Connect>& connect, const std::string& uuid,
               Answer<std::vector<ReapedJob>> done);

}  // namespace blockpull::virt
