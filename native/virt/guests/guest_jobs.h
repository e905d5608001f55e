// SPDX-License-Identifier: Apache-2.0
//
// Finds the job on a disk of a running domain, for the host's calls. Such a job is one of three:
//
//     tracked    by this process: a job::Job like any other
//     orphaned   ours by its id, but this process does not track it; it can be adopted
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

/// The job that was found on a disk, or none.
struct FoundJob {
  /// A job of this process.
  std::shared_ptr<job::Job> job;
  /// Its place among the connection's jobs; 0 if it has none.
  std::uint64_t live_id = 0;
  /// The target of the disk.
  std::string target;
  /// An orphaned or foreign job, as QEMU lists it. Absent if the job is tracked, or there is none.
  std::optional<qmp::BlockJob> untracked;
};

struct FindCall {
  /// The public name of the call, a literal.
  std::string_view function;
  /// Track an orphaned job from now on.
  bool adopt = false;
};

/// The job on that disk, if it has one.
void find_in_guest(const std::shared_ptr<Connection>& connection, const GuestDisk& on,
                   const FindCall& call, Answer<FoundJob> done);

}  // namespace blockpull::virt
