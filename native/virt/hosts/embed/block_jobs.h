// SPDX-License-Identifier: Apache-2.0
//
// The calls on the job of a domain's disk: info, speed, abort, with the checks of libvirt's driver
// in its order; and resume, which libvirt lacks. A job is found whoever started it in this process:
// this connection, another one, or a call on the bare image.
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

#include "virt/hosts/block_job_requests.h"
#include "virt/session/answer.h"
#include "virt/session/connection.h"

namespace blockpull::virt::embed {

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

/// libvirt's view of where a job is; absent once it has ended.
[[nodiscard]] std::optional<BlockJobInfo> info_of(const job::Progress& progress, Flags flags);

/// The job of this process that runs on that image, whoever started it, or nullptr.
[[nodiscard]] std::shared_ptr<job::Job> job_on_image(Connection& connection,
                                                     const std::string& path);

}  // namespace blockpull::virt::embed
