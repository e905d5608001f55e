// SPDX-License-Identifier: Apache-2.0
//
// A pull of a running domain's disk, begun by its QEMU or joined: who pulls a disk again after its
// process was killed gets the job that was left there. block_pull.h has checked the arguments by
// then, and found that the domain runs.
//
// Thread rule: any thread; answers come on the reactor's thread, or at once on this one.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "driver/qemu/guest_pull.h"
#include "virt/guests/guest_disk.h"
#include "virt/session/pull_start.h"

namespace blockpull::virt {

struct GuestPullRequest {
  GuestDisk on;
  driver::qemu::GuestPullOptions options;
  /// Folders of images that may need what would be released.
  std::vector<std::string> siblings;
  /// What is said where the base is not found: the name of one that cannot be in this chain is
  /// refused after a disk that is not there.
  std::optional<Failure> base_refusal;
  /// What is said where `options.late_refusal` is the driver's refusal.
  std::optional<Failure> late_refusal;
  std::function<void(const job::Outcome&)> on_end;
  /// Whoever called may give it up.
  std::shared_ptr<PullStart> start;
};

/// What the driver refuses such a pull for, in the words of a connection.
[[nodiscard]] Failure refused_in_guest(Error error, const GuestPullRequest& request);

/// Answers once the job runs; kMonitorTimeout where it was given up, with the operation
/// "block-stream" if QEMU may begin it yet.
void pull_in_guest(const std::shared_ptr<Connection>& connection, GuestPullRequest request,
                   Answer<std::shared_ptr<job::Job>> answer);

/// What pull_in_guest would do, but for its sizes. Only asks.
void plan_in_guest(const std::shared_ptr<Connection>& connection, GuestPullRequest request,
                   Answer<driver::qemu::GuestPlan> answer);

}  // namespace blockpull::virt
