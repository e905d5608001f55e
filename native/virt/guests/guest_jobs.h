// SPDX-License-Identifier: Apache-2.0
//
// Finds the job on a disk of a running domain, as the calls in block_jobs.h need it. Such a job is
// one of three:
//
//     followed   by this process: a job::Job like any other
//     left       ours by its id, and nobody follows it here: it can be adopted
//     foreign    somebody else's: it is told of, and never touched
//
// Thread rule: any thread; answers come on the reactor's thread, or at once on this one.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "core/qmp/commands.h"
#include "virt/guests/guest_disk.h"
#include "virt/session/answer.h"
#include "virt/session/connection.h"

namespace blockpull::virt {

struct GuestJob {
  /// Followed; its place among the connection's jobs, or 0.
  std::shared_ptr<job::Job> job;
  std::uint64_t live_id = 0;
  /// Left or foreign: as QEMU tells of it. Absent when followed, and when there is no job.
  std::optional<qmp::BlockJob> unfollowed;
};

struct FindCall {
  /// The public name of the call: a literal.
  std::string_view function;
  /// A job that was left is followed from now on.
  bool adopt = false;
};

/// The job on that disk, if it has one.
void find_in_guest(const std::shared_ptr<Connection>& connection, const GuestDisk& on,
                   const FindCall& call, Answer<GuestJob> answer);

}  // namespace blockpull::virt
