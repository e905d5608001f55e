// SPDX-License-Identifier: Apache-2.0
//
// The ids of our jobs in QEMU, by which a later process recognizes them:
//
//     blockpull-<kind>-<disk>-<hash>        blockpull-pull-vda-1b2c3d4e
//     blockpull-<disk>-<hash>               of version 0.1.0, which knew only pulls
//
// The hash is that of the node's name, 8 hex digits. It is needed because a node's name (#block121)
// may not be a valid id, and because the id must lead back to the node. Pure functions.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/qmp/commands.h"
#include "job/kind.h"

namespace blockpull::driver::qemu {

/// FNV-1a of `name`, 32 bits, as 8 hex digits.
[[nodiscard]] std::string hash_digits(std::string_view name);

/// Whether `text` looks like a result of hash_digits().
[[nodiscard]] bool is_hash(std::string_view text);

/// The id of a new job.
[[nodiscard]] std::string job_id_for(job::Kind kind, std::string_view disk_name,
                                     std::string_view node_name);

/// Our job on the node with that name, or nullptr. Its id may be one of version 0.1.0, or name the
/// disk as another process knows it.
[[nodiscard]] const qmp::BlockJob* find_own_job(const std::vector<qmp::BlockJob>& jobs,
                                                std::string_view node_name);

/// Whether this library started a job with that id.
[[nodiscard]] bool is_our_job(std::string_view id);

/// Whether such a job works on the node with that name.
[[nodiscard]] bool is_job_on(std::string_view id, std::string_view node_name);

}  // namespace blockpull::driver::qemu
