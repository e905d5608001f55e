// SPDX-License-Identifier: Apache-2.0
//
// A pull of a running domain's disk, started by its QEMU or joined: a caller that pulls a disk
// again after its process was killed gets the job that was left there. block_pull.h has already
// checked the arguments and found that the domain runs.
//
// Thread rule: any thread; answers come on the reactor's thread, or at once on this one.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "driver/qemu/guest_pull.h"
#include "virt/guests/guest_disk.h"
#include "virt/session/pull_start.h"

namespace blockpull::virt {

struct GuestPullRequest {
  /// Which of libvirt's calls it is: a literal.
  std::string_view function;
  GuestDisk on;
  driver::qemu::GuestPullOptions options;
  /// Folders with images that may need what would be released.
  std::vector<std::string> siblings;
  /// The refusal when the base is not found: a disk that does not exist is refused before a base
  /// that no chain can have.
  std::optional<Failure> base_refusal;
  /// The refusal to report when the driver refuses with `options.late_refusal`.
  std::optional<Failure> late_refusal;
  std::function<void(const job::Outcome&)> on_end;
  /// Lets the caller give up.
  std::shared_ptr<PullStart> start;
};

/// A driver's refusal of such a pull, in the words of a connection.
[[nodiscard]] Failure refused_in_guest(Error error, const GuestPullRequest& request);

/// Answers once the job runs. kMonitorTimeout if the caller gave up, with the operation
/// "block-stream" if QEMU may still start the job.
void pull_in_guest(const std::shared_ptr<Connection>& connection, GuestPullRequest request,
                   Answer<std::shared_ptr<job::Job>> done);

/// What pull_in_guest would do, without its sizes. Only sends queries.
void plan_in_guest(const std::shared_ptr<Connection>& connection, GuestPullRequest request,
                   Answer<driver::qemu::GuestPlan> done);

}  // namespace blockpull::virt
