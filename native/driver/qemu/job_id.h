// SPDX-License-Identifier: Apache-2.0
//
// The ids of our jobs in QEMU, by which a process that was started later knows them:
//
//     blockpull-<kind>-<disk>-<hash>        blockpull-pull-vda-1b2c3d4e
//     blockpull-<disk>-<hash>               of version 0.1.0, which knew only pulls
//
// The hash is that of the node's name, 8 hex digits. It is there because a node's name (#block121)
// may be no id, and because the id must lead back to the node. Pure functions.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/qmp/commands.h"
#include "job/kind.h"

namespace blockpull::driver::qemu {

/// FNV-1a of `name`, 32 bits, as 8 hex digits.
[[nodiscard]] std::string hash_digits(std::string_view name);

/// Whether `text` looks like what hash_digits() gives.
[[nodiscard]] bool is_hash(std::string_view text);

/// The id that a new job gets.
[[nodiscard]] std::string job_id_for(job::Kind kind, std::string_view disk_name,
                                     std::string_view node_name);

/// The id of our job on that disk: the one that QEMU lists, which version 0.1.0 may have named, or
/// the one that a new job gets.
[[nodiscard]] std::string own_job_id(const std::vector<qmp::BlockJob>& jobs, job::Kind kind,
                                     std::string_view disk_name, std::string_view node_name);

/// Whether a job of that id was started by this library.
[[nodiscard]] bool is_our_job(std::string_view id);

/// Whether such a job works on the node of that name.
[[nodiscard]] bool is_job_on(std::string_view id, std::string_view node_name);

}  // namespace blockpull::driver::qemu
