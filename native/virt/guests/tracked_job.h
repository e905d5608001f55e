// SPDX-License-Identifier: Apache-2.0
//
// Makes a job that QEMU runs a job of the connection, like one of our own engine. It has a place
// among the connection's jobs, its end updates the domain's XML, and the listener is notified.
//
// That happens only once QEMU has started it. A QEMU that does not answer therefore delays neither
// the end of the connection nor that of the process.
//
// Thread rule: any thread.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "driver/qemu/guest_pull.h"
#include "virt/guests/guest_disk.h"

namespace blockpull::virt {

/// Whether a caller asked for the job, or an earlier process left it; and who is notified of its
/// end.
struct Asked {
  bool is_asked_for = false;
  std::function<void(const job::Outcome&)> on_end;
  /// Folders with images that may need what would be released.
  std::vector<std::string> siblings;
};

/// nullptr if the connection has been closed.
[[nodiscard]] std::shared_ptr<job::Job> track(
    const std::shared_ptr<Connection>& connection, const GuestDisk& on,
    std::unique_ptr<driver::qemu::PreparedGuestPull> prepared, std::uint64_t bandwidth,
    Asked asked);

}  // namespace blockpull::virt
