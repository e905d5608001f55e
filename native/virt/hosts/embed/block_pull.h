// SPDX-License-Identifier: Apache-2.0
//
// virDomainBlockPull and virDomainBlockRebase on a domain's disk, with libvirt's checks in
// libvirt's order. Both bindings are thin over this. A domain that runs is pulled by its QEMU, one
// that is shut off by our own engine; so one of libvirt's answers, "domain is not running", is
// never said.
//
// Thread rule: any thread. These calls block for file operations, not for QEMU.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/walk_watch.h"
#include "core/qmp/commands.h"
#include "virt/session/answer.h"
#include "virt/session/connection.h"
#include "virt/session/pull_start.h"
#include "virt/session/stated_formats.h"
#include "virt/session/timed_plan.h"

namespace blockpull::virt {

enum class PullCall : std::uint8_t { kBlockPull, kBlockRebase };

/// Who waits for the job. One that nobody need wait for is QEMU's to go on with when this process
/// has gone: it stops at pending then, until the next connection, or a reap, brings it to its end.
/// Only a running domain has a QEMU.
enum class Finisher : std::uint8_t { kThisProcess, kWhoeverIsNext, kWhoeverIsNextWhereItRuns };

struct BlockPullRequest {
  PullCall call = PullCall::kBlockPull;
  std::string uuid;
  /// Target, or absolute path of the active layer.
  std::string disk;
  std::optional<std::string> base;
  /// A base that fits two layers is refused, rather than looked up as libvirt does.
  bool is_base_exact = false;
  /// MiB/s, or bytes a second if the flag says so; 0 for no limit.
  std::uint64_t bandwidth = 0;
  Flags flags = 0;
  Finisher finisher = Finisher::kThisProcess;
  /// A job of our own engine always ends with the first error.
  qmp::OnError on_error = qmp::OnError::kReport;
  /// Of a disk that is shut off; QEMU knows the formats of what it has open.
  BackingFormats backing_formats = {};
  /// Folders of images that may need what would be released.
  std::vector<std::string> siblings;
  /// Of a domain that is shut off.
  driver::TrailingPolicy trailing = driver::TrailingPolicy::kRefuse;
  /// Of a plan for a domain that is shut off: what would be moved is read.
  bool reads_data = false;
  /// By which a caller gives up waiting for a guest's QEMU; may be null.
  std::shared_ptr<PullStart> start;
};

/// Answers once the job runs; `on_end` hears its end on the engine's thread, after the connection's
/// event.
void block_pull(const std::shared_ptr<Connection>& connection, const BlockPullRequest& request,
                std::function<void(const job::Outcome&)> on_end,
                Answer<std::shared_ptr<job::Job>> answer);

/// The rest of a plan: reads the tables of the image's files, and blocks for as long as that takes.
using PlanReading = std::function<Result<TimedPlan>(const WalkWatch&)>;

/// What block_pull would do. Answers once the disk is found and, where its domain runs, QEMU has
/// told what it has open. What the image itself would be refused for is in the plan, under a
/// running guest also the job that the disk has.
void plan_block_pull(const std::shared_ptr<Connection>& connection, const BlockPullRequest& request,
                     Answer<PlanReading> answer);

}  // namespace blockpull::virt
