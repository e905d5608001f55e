// SPDX-License-Identifier: Apache-2.0
//
// virDomainBlockPull and virDomainBlockRebase on a shut-off domain's disk, with libvirt's checks in
// libvirt's order. Both bindings are thin over this. One of libvirt's answers is missing on
// purpose: "domain is not running" is never said, since shut-off disks are what is served; a
// running domain is refused instead.
//
// Thread rule: any thread. These calls block for file operations.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "virt/connection.h"
#include "virt/images.h"

namespace blockpull::virt {

enum class PullCall : std::uint8_t { kBlockPull, kBlockRebase };

struct BlockPullRequest {
  PullCall call = PullCall::kBlockPull;
  std::string uuid;
  /// Target, or absolute path of the active layer.
  std::string disk;
  std::optional<std::string> base;
  /// MiB/s, or bytes a second if the flag says so; 0 for no limit.
  std::uint64_t bandwidth = 0;
  Flags flags = 0;
};

/// Returns once the job runs; `on_end` hears its end on the engine's thread, after the connection's
/// event.
[[nodiscard]] Result<std::shared_ptr<job::Job>> block_pull(
    Connection& connection, const BlockPullRequest& request,
    std::function<void(const job::Outcome&)> on_end);

/// What block_pull would do. What the image itself would be refused for is in the plan.
[[nodiscard]] Result<TimedPlan> plan_block_pull(Connection& connection,
                                                const BlockPullRequest& request);

}  // namespace blockpull::virt
