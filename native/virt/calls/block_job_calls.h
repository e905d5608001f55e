// SPDX-License-Identifier: Apache-2.0
//
// libvirt's calls on the block job of a disk, with what its entry points refuse, in their order.
// The host does the rest, as libvirt's drivers do. libvirt lacks three of them: plan, resume, reap.
//
// Thread rule: any thread; a call may block for file operations. The `try_` forms do not block:
// they answer from memory, or not at all.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "virt/calls/connect.h"

namespace blockpull::virt {

/// virDomainBlockPull and virDomainBlockRebase. Answers once the job runs; `on_end` hears its end
/// on the engine's thread, after the connection's event.
void block_pull(const std::shared_ptr<Connect>& connect, const BlockPullRequest& request,
                std::function<void(const job::Outcome&)> on_end,
                Answer<std::shared_ptr<job::Job>> done);

/// What block_pull would do. Answers once the disk is found and, where its domain runs, QEMU has
/// listed what it has open. What the image itself would be refused for is in the plan, under a
/// running guest also the job that the disk has. It changes nothing, so it is served on a read-only
/// connection.
void plan_block_pull(const std::shared_ptr<Connect>& connect, const BlockPullRequest& request,
                     Answer<PlanReading> done);

/// virDomainGetBlockJobInfo; absent: no job on that disk.
void block_job_info(const std::shared_ptr<Connect>& connect, const DiskRequest& request,
                    Answer<std::optional<BlockJobInfo>> done);
[[nodiscard]] std::optional<Result<std::optional<BlockJobInfo>>> try_block_job_info(
    Connect& connect, const DiskRequest& request);

/// virDomainBlockJobSetSpeed.
void block_job_set_speed(const std::shared_ptr<Connect>& connect, const SpeedRequest& request,
                         Answer<void> done);
[[nodiscard]] std::optional<Result<void>> try_block_job_set_speed(Connect& connect,
                                                                  const SpeedRequest& request);

/// Lets a job that stopped on an error continue; does nothing to one that has not.
void block_job_resume(const std::shared_ptr<Connect>& connect, const DiskRequest& request,
                      Answer<void> done);

/// virDomainBlockJobAbort: answers when the job has ended, with the ASYNC flag at once.
/// kMonitorTimeout or kClosed where the job continues in its QEMU without us.
void block_job_abort(const std::shared_ptr<Connect>& connect, const DiskRequest& request,
                     Answer<void> done);

/// Answers once every job of ours in the domain's QEMU has ended, and its disks are flushed.
void reap_jobs(const std::shared_ptr<Connect>& connect, const std::string& uuid,
               Answer<std::vector<ReapedJob>> done);

}  // namespace blockpull::virt
