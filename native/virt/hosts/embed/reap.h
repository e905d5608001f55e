// SPDX-License-Identifier: Apache-2.0
//
// Finishes what earlier processes left in a guest's QEMU. libvirt has no such call: its daemon
// outlives the programs that start jobs, and nothing here does.
//
//     adopt the orphans ─▶ wait for every end ─▶ flush the guest's disks ─▶ XML ─▶ answer
//
// Nobody is there to resume an orphaned job that stops on an error, so here it fails with that
// error. A job that this connection was asked for has a caller who may resume it, so it is only
// waited for.
//
// Thread rule: any thread. Blocks for file operations, never for QEMU.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "virt/hosts/block_job_requests.h"
#include "virt/session/answer.h"
#include "virt/session/connection.h"

namespace blockpull::virt::embed {

/// Answers once every job of ours in the domain's QEMU has ended and its disks are flushed, since a
/// job that nobody tracked may have ended before without being durable. No jobs in a domain that is
/// shut off.
void reap_jobs(const std::shared_ptr<Connection>& connection, const std::string& uuid,
               Answer<std::vector<ReapedJob>> done);

}  // namespace blockpull::virt::embed
