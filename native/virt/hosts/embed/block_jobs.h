// SPDX-License-Identifier: Apache-2.0
//
// The calls on the job of a domain's disk: info, speed and abort, with the checks of libvirt's
// driver in its order; and resume, which libvirt lacks. A job is found whoever started it in this
// process: this connection, another one, or a call on the bare image.
//
// The `try_` forms answer from memory, or return nothing. An event loop calls them first, so a
// query never waits for some image to be opened. They answer whenever this connection's own job
// runs on that disk, except for a limit that a guest's QEMU has to accept.
//
// Thread rule: any thread. All but the `try_` forms block for file operations, never for QEMU.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "virt/hosts/block_job_requests.h"
#include "virt/session/answer.h"
#include "virt/session/connection.h"

namespace blockpull::virt::embed {

/// virDomainGetBlockJobInfo. Absent: there is no job on that disk.
void block_job_info(const std::shared_ptr<Connection>& connection, const DiskRequest& request,
                    Answer<std::optional<BlockJobInfo>> done);
[[nodiscard]] std::optional<Result<std::optional<BlockJobInfo>>> try_block_job_info(
    Connection& connection, const DiskRequest& request);

/// virDomainBlockJobSetSpeed.
void block_job_set_speed(const std::shared_ptr<Connection>& connection, const SpeedRequest& request,
                         Answer<void> done);
[[nodiscard]] std::optional<Result<void>> try_block_job_set_speed(Connection& connection,
                                                                  const SpeedRequest& request);

/// Continues a job that stopped on an error. Does nothing to any other job.
void block_job_resume(const std::shared_ptr<Connection>& connection, const DiskRequest& request,
                      Answer<void> done);

/// virDomainBlockJobAbort without its wait. Answers with the job that is being ended; the call is
/// over when that has ended (when_ended()). With the ASYNC flag the answer is nullptr: the call is
/// over.
void block_job_abort(const std::shared_ptr<Connection>& connection, const DiskRequest& request,
                     Answer<std::shared_ptr<job::Job>> done);

/// libvirt's view of a job's progress; absent once it has ended.
[[nodiscard]] std::optional<BlockJobInfo> info_of(const job::Progress& progress, Flags flags);

/// The job of this process that runs on that image, whoever started it, or nullptr.
[[nodiscard]] std::shared_ptr<job::Job> job_on_image(Connection& connection,
                                                     const std::string& path);

}  // namespace blockpull::virt::embed
