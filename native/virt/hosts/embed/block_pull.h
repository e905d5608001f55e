// SPDX-License-Identifier: Apache-2.0
//
// virDomainBlockPull and virDomainBlockRebase on a domain's disk, with the checks of libvirt's
// driver in its order. A running domain is pulled by its QEMU, a domain that is shut off by our own
// engine. libvirt's answer "domain is not running" therefore never occurs.
//
// Thread rule: any thread. These calls block for file operations, never for QEMU.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "virt/hosts/block_job_requests.h"
#include "virt/session/answer.h"
#include "virt/session/connection.h"

namespace blockpull::virt::embed {

/// Answers once the job runs. `on_end` is called with its outcome on the engine's thread, after the
/// connection's event.
void block_pull(const std::shared_ptr<Connection>& connection, const BlockPullRequest& request,
                std::function<void(const job::Outcome&)> on_end,
                Answer<std::shared_ptr<job::Job>> done);

/// What block_pull would do. Answers once the disk is found and, for a running domain, QEMU has
/// listed its open files. Refusals because of the image itself are part of the plan; so is, under a
/// running guest, the job that already runs on the disk.
void plan_block_pull(const std::shared_ptr<Connection>& connection, const BlockPullRequest& request,
                     Answer<PlanReading> done);

}  // namespace blockpull::virt::embed
