// SPDX-License-Identifier: Apache-2.0
//
// Brings to its end what earlier processes left in a guest's QEMU. libvirt has no such call: its
// daemon outlives the programs that start jobs, and nothing here does.
//
//     adopt what is left ─▶ wait for every end ─▶ flush the guest's disks ─▶ XML ─▶ answer
//
// Nobody is there to resume a left job that stops on an error, so here it fails with that error.
// One that this connection was asked for is somebody's, and is waited for as it is.
//
// Thread rule: any thread. Blocks for file operations, not for QEMU.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "virt/hosts/block_job_requests.h"
#include "virt/session/answer.h"
#include "virt/session/connection.h"

namespace blockpull::virt::embed {

/// Answers once every job of ours in the domain's QEMU has ended, and its disks are flushed: a job
/// that nobody followed may have ended undurable before. None in a domain that is shut off.
void reap_jobs(const std::shared_ptr<Connection>& connection, const std::string& uuid,
               Answer<std::vector<ReapedJob>> answer);

}  // namespace blockpull::virt::embed
