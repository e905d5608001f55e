// SPDX-License-Identifier: Apache-2.0
//
// The jobs on disks of running domains, as the calls in block_pull.h and block_jobs.h need them.
// Arguments have been checked by then, and the domain was found to run.
//
// A job on a guest's disk is one of three:
//
//     followed   by this process: a job::Job like any other
//     left       ours by its id, and nobody follows it here: it can be adopted
//     foreign    somebody else's: it is told of, and never touched
//
// Thread rule: any thread; answers come on the reactor's thread, or at once on this one.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/qmp/commands.h"
#include "driver/qemu/guest_pull.h"
#include "virt/answer.h"
#include "virt/connection.h"

namespace blockpull::virt {

/// A disk of a running domain. Without XML, `disk.source` is empty and `disk.target` what the
/// caller said.
struct GuestDisk {
  Domain domain;
  Disk disk;
};

struct GuestPullCall {
  GuestDisk on;
  driver::GuestPullOptions options;
  std::function<void(const job::Outcome&)> on_end;
};

/// Answers once the job runs.
void pull_in_guest(const std::shared_ptr<Connection>& connection, GuestPullCall call,
                   Answer<std::shared_ptr<job::Job>> answer);

/// What pull_in_guest would do, but for its sizes. Only asks.
void plan_in_guest(const std::shared_ptr<Connection>& connection, GuestPullCall call,
                   Answer<driver::GuestPlan> answer);

struct GuestJob {
  /// Followed; its place among the connection's jobs, or 0.
  std::shared_ptr<job::Job> job;
  std::uint64_t live_id = 0;
  /// Left or foreign: as QEMU tells of it. Absent when followed, and when there is no job.
  std::optional<qmp::BlockJob> unfollowed;
  bool is_ours = false;
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

/// The disks that the domain's XML states, or, where that states none and the domain runs, those
/// that its QEMU has.
void list_disks(const std::shared_ptr<Connection>& connection, const std::string& uuid,
                Answer<std::vector<Disk>> answer);

/// Follows every job that was left in the domain's QEMU; answers with those of ours that are
/// followed now, whoever in this process follows them, and with those that the opening of the
/// connection has followed and no earlier answer had.
void adopt_in_guest(const std::shared_ptr<Connection>& connection, const Domain& domain,
                    Answer<std::vector<AdoptedJob>> answer);

/// Makes what the domain's QEMU has written to its disks durable: a job that nobody followed may
/// have ended without that. kIo when a flush failed; nothing to do where QEMU is gone.
void flush_disks_in_guest(const std::shared_ptr<Connection>& connection, const Domain& domain,
                          Answer<void> answer);

/// Opens a connection and, in the background, follows what earlier processes left in the domains
/// that run; a read-only connection leaves it.
[[nodiscard]] Result<std::shared_ptr<Connection>> open_connection(
    std::shared_ptr<job::Engine> engine, ConnectOptions options, EventSink sink);

}  // namespace blockpull::virt
