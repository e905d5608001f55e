// SPDX-License-Identifier: Apache-2.0
//
// A job that QEMU runs becomes a job of the connection, like one of our own engine: it has a place
// among the connection's jobs, the domain's XML follows its end, and the listener hears of it.
//
// That happens only once QEMU has begun it: a QEMU that does not answer keeps neither the
// connection's end nor the process's waiting.
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

/// Whether somebody has asked for a job, or an earlier process had left it; and who hears its end.
struct Asked {
  bool is_asked_for = false;
  std::function<void(const job::Outcome&)> on_end;
  /// Folders of images that may need what would be released.
  std::vector<std::string> siblings;
};

/// nullptr when the connection has been closed.
[[nodiscard]] std::shared_ptr<job::Job> follow(
    const std::shared_ptr<Connection>& connection, const GuestDisk& on,
    std::unique_ptr<driver::qemu::PreparedGuestPull> prepared, std::uint64_t bandwidth,
    Asked asked);

}  // namespace blockpull::virt
