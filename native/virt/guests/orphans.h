// SPDX-License-Identifier: Apache-2.0
//
// What earlier processes left in the QEMUs of a connection's domains, and how it is adopted: by
// each call that finds it (adopt), by a reap of its domain (adopt_in_guest), and in the background
// when a connection opens (open_connection).
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

/// Tracks an orphaned job, unless something in this process already does. nullptr if the connection
/// has been closed.
[[nodiscard]] std::shared_ptr<job::Job> adopt(const std::shared_ptr<Connection>& connection,
                                              const std::shared_ptr<qmp::Monitor>& monitor,
                                              const GuestDisk& on,
                                              const driver::qemu::StreamPlan& plan,
                                              std::uint64_t bandwidth);

struct Adopted {
  /// Our jobs that are tracked now, wherever in this process. They include the jobs that the
  /// opening of the connection adopted, unless an earlier answer had them.
  std::vector<LiveJob> jobs;
  /// The state of the guest before the adoption.
  driver::qemu::GuestView view;
};

/// Adopts every orphaned job in the domain's QEMU.
void adopt_in_guest(const std::shared_ptr<Connection>& connection, const Domain& domain,
                    Answer<Adopted> done);

/// Opens a connection. In the background it adopts what earlier processes left in the running
/// domains, and updates the XML after jobs that have ended; a read-only connection does not.
[[nodiscard]] Result<std::shared_ptr<Connection>> open_connection(
    std::shared_ptr<job::Engine> engine, ConnectOptions options, EventSink sink);

}  // namespace blockpull::virt
