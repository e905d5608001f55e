// SPDX-License-Identifier: Apache-2.0
//
// What earlier processes left in the QEMUs of a connection's domains, and how it is adopted: by
// each call that finds it (adopt), by a reap of its domain (adopt_in_guest), and in the background
// of every connection that is opened (open_connection).
//
// Thread rule: any thread; answers come on the reactor's thread, or at once on this one.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "driver/qemu/guest_view.h"
#include "driver/qemu/stream_plan.h"
#include "virt/guests/guest_disk.h"
#include "virt/session/answer.h"
#include "virt/session/connection.h"

namespace blockpull::virt {

/// Follows a job that was left, unless somebody in this process does. nullptr when the connection
/// has been closed.
[[nodiscard]] std::shared_ptr<job::Job> adopt(const std::shared_ptr<Connection>& connection,
                                              const std::shared_ptr<qmp::Monitor>& monitor,
                                              const GuestDisk& on,
                                              const driver::qemu::StreamPlan& plan,
                                              std::uint64_t bandwidth);

struct Adopted {
  /// Those of ours that are followed now, whoever in this process follows them, and those that the
  /// opening of the connection has followed and no earlier answer had.
  std::vector<LiveJob> jobs;
  /// What the guest had before.
  driver::qemu::GuestView view;
};

/// Follows every job that was left in the domain's QEMU.
void adopt_in_guest(const std::shared_ptr<Connection>& connection, const Domain& domain,
                    Answer<Adopted> answer);

/// Opens a connection and, in the background, follows what earlier processes left in the domains
/// that run, and brings the XML of those that have ended in step; a read-only connection leaves it.
[[nodiscard]] Result<std::shared_ptr<Connection>> open_connection(
    std::shared_ptr<job::Engine> engine, ConnectOptions options, EventSink sink);

}  // namespace blockpull::virt
