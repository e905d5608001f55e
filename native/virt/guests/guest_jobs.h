// SPDX-License-Identifier: Apache-2.0
//
// Finds the job on a disk of a running domain, as the host's calls need it. Such a job is
// one of three:
//
//     followed   by this process: a job::Job like any other
//     orphaned   ours by its id, and nobody follows it here: it can be adopted
//     foreign    another program's: it is reported, and never touched
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

/// A job that was found on a disk, or that there is none.
struct FoundJob {
  /// Of this process.
  std::shared_ptr<job::Job> job;
  /// Its place among the connection's jobs; 0 when it has none.
  std::uint64_t live_id = 0;
  /// Of the disk.
  std::string target;
  /// Orphaned or foreign: as QEMU lists it. Absent when it is followed, and when there is no job.
  std::optional<qmp::BlockJob> unfollowed;
};

struct FindCall {
  /// The public name of the call: a literal.
  std::string_view function;
  /// An orphaned job is followed from now on.
  bool adopt = false;
};

/// The job on that disk, if it has one.
void find_in_guest(const std::shared_ptr<Connection>& connection, const GuestDisk& on,
                   const FindCall& call, Answer<FoundJob> answer);

}  // namespace blockpull::virt
