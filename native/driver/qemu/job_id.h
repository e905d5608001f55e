// SPDX-License-Identifier: Apache-2.0
//
// The ids of our jobs in QEMU, by which a process that was started anew knows them:
//
//     blockpull-<disk>-<8 hex digits of the hash of the node's name>
//
// The hash is there because a node's name (#block121) may be no id, and because the id must lead
// back to the node. Pure functions.

#pragma once

#include <string>
#include <string_view>

namespace blockpull::driver::qemu {

/// FNV-1a of `name`, 32 bits, as 8 hex digits.
[[nodiscard]] std::string hash_digits(std::string_view name);

/// Whether `text` looks like what hash_digits() gives.
[[nodiscard]] bool is_hash(std::string_view text);

[[nodiscard]] std::string job_id_for(std::string_view disk_name, std::string_view node_name);

/// Whether a job of that id was started by this library.
[[nodiscard]] bool is_our_job(std::string_view id);

/// Whether such a job works on the node of that name.
[[nodiscard]] bool is_job_on(std::string_view id, std::string_view node_name);

}  // namespace blockpull::driver::qemu
