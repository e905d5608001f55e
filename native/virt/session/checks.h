// SPDX-License-Identifier: Apache-2.0
//
// libvirt's argument checks, one function each, so that the calls in block_jobs.cc and
// block_pull.cc read as lists of checks. Numbers and words are libvirt's. The caller decides the
// order.
//
// Pure functions.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "virt/domains/domain_xml.h"

namespace blockpull::virt {

/// 29: a read-only connection changes nothing. `function` is the name of the entry point.
[[nodiscard]] Result<void> check_writable(bool read_only, std::string_view function);

/// 8: bits outside `supported`; the message shows only those. `function` is the driver's name for
/// it.
[[nodiscard]] Result<void> check_flags(Flags flags, Flags supported, std::string_view function);

/// 8: the checks that virDomainBlockRebase itself makes of its flags.
[[nodiscard]] Result<void> check_rebase_flags(Flags flags, bool has_base);

/// 82: a bandwidth in MiB/s that overflows in bytes a second.
[[nodiscard]] Result<void> check_bandwidth(std::uint64_t bandwidth, bool in_bytes);

/// 1: a bandwidth in bytes that is too large for QEMU, which takes a signed number.
[[nodiscard]] Result<std::uint64_t> to_bytes_per_second(std::uint64_t bandwidth, bool in_bytes);

/// 84: a disk whose bus or kind does not allow jobs.
[[nodiscard]] Result<void> check_disk_takes_jobs(const Disk& disk);

/// 1, 84 or 67: a disk that our own engine cannot open, which is an empty drive, a source that is
/// not a local file, or a format that is not stated.
[[nodiscard]] Result<void> check_disk_is_local_image(const Disk& disk);

/// The first disk with that target or, if `name` begins with '/', with that source path.
[[nodiscard]] Result<Disk> find_disk(const Domain& domain, std::string_view name);

/// A disk that no XML describes but a guest's QEMU may have, known by the path of its active layer
/// or by another name.
[[nodiscard]] Disk undescribed_disk(const std::string& name);

/// 8: the domain has no disk of that name.
[[nodiscard]] Failure no_disk(std::string_view name);

/// 8: in libvirt's words, with the target unquoted.
[[nodiscard]] Failure no_job_on(std::string_view target);

/// 84.
[[nodiscard]] Failure job_active_on(std::string_view target);

}  // namespace blockpull::virt
