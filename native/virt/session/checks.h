// SPDX-License-Identifier: Apache-2.0
//
// libvirt's argument checks, one function each, so that the calls in block_jobs.cc and
// block_pull.cc read as the lists of checks that they are. Numbers and words are libvirt's; the
// order is the caller's business.
//
// Pure functions.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "virt/domains/domain_xml.h"

namespace blockpull::virt {

/// 29: a connection that was opened read-only changes nothing. `function` is the entry name.
[[nodiscard]] Result<void> check_writable(bool read_only, std::string_view function);

/// 8: bits outside `supported`; the message shows only those. `function` is the driver's.
[[nodiscard]] Result<void> check_flags(Flags flags, Flags supported, std::string_view function);

/// 8: what virDomainBlockRebase itself asks of its flags.
[[nodiscard]] Result<void> check_rebase_flags(Flags flags, bool has_base);

/// 82: a bandwidth in MiB/s that has no value in bytes a second.
[[nodiscard]] Result<void> check_bandwidth(std::uint64_t bandwidth, bool in_bytes);

/// 1: a bandwidth in bytes that QEMU, which takes a signed number, could not be given.
[[nodiscard]] Result<std::uint64_t> to_bytes_per_second(std::uint64_t bandwidth, bool in_bytes);

/// 84: disks whose bus or kind keeps jobs off.
[[nodiscard]] Result<void> check_disk_takes_jobs(const Disk& disk);

/// 1, 84, 67: what our own engine cannot open: an empty drive, a source that is no local file, a
/// format that is not stated.
[[nodiscard]] Result<void> check_disk_is_local_image(const Disk& disk);

/// The disk named by its target, or by the path of its source when `name` begins with '/'. The
/// first match.
[[nodiscard]] Result<Disk> find_disk(const Domain& domain, std::string_view name);

/// A disk that no XML describes but a guest's QEMU may have: by the path of its active layer, or by
/// another name.
[[nodiscard]] Disk undescribed_disk(const std::string& name);

/// 8: the domain has no disk of that name.
[[nodiscard]] Failure no_disk(std::string_view name);

/// 8: as libvirt words it, with the target unquoted.
[[nodiscard]] Failure no_job_on(std::string_view target);

/// 84.
[[nodiscard]] Failure job_active_on(std::string_view target);

}  // namespace blockpull::virt
