// SPDX-License-Identifier: Apache-2.0
//
// virDomainBlockPull and virDomainBlockRebase on a domain's disk, with the checks of libvirt's
// driver in its order. A domain that runs is pulled by its QEMU, one
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

#include "virt/hosts/block_job_requests.h"
#include "virt/session/answer.h"
#include "virt/session/connection.h"

namespace blockpull::virt::embed {

/// Answers once the job runs; `on_end` hears its end on the engine's thread, after the connection's
/// event.
void block_pull(const std::shared_ptr<Connection>& connection, const BlockPullRequest& request,
                std::function<void(const job::Outcome&)> on_end,
                Answer<std::shared_ptr<job::Job>> answer);

/// What block_pull would do. Answers once the disk is found and, where its domain runs, QEMU has
/// told what it has open. What the image itself would be refused for is in the plan, under a
/// running guest also the job that the disk has.
void plan_block_pull(const std::shared_ptr<Connection>& connection, const BlockPullRequest& request,
                     Answer<PlanReading> answer);

}  // namespace blockpull::virt::embed
