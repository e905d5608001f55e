// SPDX-License-Identifier: Apache-2.0
//
// The checks and their messages. Messages of libvirt's are kept word for word. Where libvirt has no
// such case, for example a disk without a stated format, the sentence is ours.

#include "virt/session/checks.h"

#include "core/base/limits.h"
#include "core/base/text.h"

namespace blockpull::virt {

Result<void> check_writable(bool read_only, std::string_view function) {
  if (read_only) {
    return report(ErrorKind::kReadOnly, ErrorCode::kOperationDenied, ErrorDomain::kPublic,
                  text("read only access prevents ", function));
  }
  return {};
}

Result<void> check_flags(Flags flags, Flags supported, std::string_view function) {
  const Flags unknown = flags & ~supported;
  if (unknown != 0) {
    return argument_check(ErrorDomain::kQemu, {std::string(function), "flags"},
                          text("unsupported flags (", Hex{unknown}, ") in function ", function));
  }
  return {};
}

Result<void> check_rebase_flags(Flags flags, bool has_base) {
  constexpr Flags kCopyOnly =
      flag::kRebaseShallow | flag::kRebaseReuseExt | flag::kRebaseCopyRaw | flag::kRebaseCopyDev;
  if ((flags & flag::kRebaseCopy) != 0) {
    if (!has_base) {
      return argument_check(ErrorDomain::kPublic, {"virDomainBlockRebase", "base"},
                            "base in virDomainBlockRebase must not be NULL");
    }
  } else if ((flags & kCopyOnly) != 0) {
    return argument_check(ErrorDomain::kPublic, {"virDomainBlockRebase", "flags"},
                          "use of flags requires a copy job");
  }
  return {};
}

Result<void> check_bandwidth(std::uint64_t bandwidth, bool in_bytes) {
  if (!in_bytes && bandwidth > limits::kBandwidthMiB) {
    return report(ErrorKind::kOverflow,
                  text("bandwidth must be less than ", limits::kBandwidthMiB));
  }
  return {};
}

Result<std::uint64_t> to_bytes_per_second(std::uint64_t bandwidth, bool in_bytes) {
  if (!in_bytes) {
    return bandwidth * limits::kMiB;
  }
  if (bandwidth >= std::uint64_t{1} << 63U) {
    return report(ErrorKind::kOverflow, ErrorCode::kInternalError, ErrorDomain::kNone,
                  "argument key 'speed' must not be negative");
  }
  return bandwidth;
}

Result<void> check_disk_takes_jobs(const Disk& disk) {
  const auto unsupported = [](std::string detail) {
    return report(ErrorKind::kUnsupported, detail);
  };
  if (disk.bus == "sd") {
    return unsupported(
        text("block jobs are not supported on disk '", disk.target, "' using bus 'sd'"));
  }
  if (disk.transient) {
    return unsupported(text("block jobs are not supported on transient disk '", disk.target, "'"));
  }
  if (disk.type == "vhostuser") {
    return unsupported(text("block jobs are not supported on vhostuser disk '", disk.target, "'"));
  }
  return {};
}

Result<void> check_disk_is_local_image(const Disk& disk) {
  if (disk.source.empty()) {
    return report(ErrorKind::kUnsupported, ErrorCode::kInternalError, ErrorDomain::kNone,
                  "argument key 'device' must not have null value");
  }
  if (disk.type != "file" && disk.type != "block") {
    return report(ErrorKind::kUnsupported, text("disk '", disk.target, "' is of type '", disk.type,
                                                "'; a shut-off disk must be a local file"));
  }
  if (disk.format.empty()) {
    return report(ErrorKind::kFormatUnknown,
                  text("disk '", disk.target,
                       "' states no format in its domain's XML; add <driver "
                       "name='qemu' type='qcow2'/>, or type='raw' for a raw image"));
  }
  return {};
}

Result<Disk> find_disk(const Domain& domain, std::string_view name) {
  const bool is_path = name.starts_with('/');
  for (const Disk& disk : domain.disks) {
    if ((is_path ? disk.source : disk.target) == name) {
      return disk;
    }
  }
  Failure failure = no_disk(name);
  if (domain.disks.empty()) {
    failure.error.hint = text("no disk of domain '", domain.name,
                              "' is known: its definition names none, and no QEMU answers for it");
  }
  return failure;
}

Disk undescribed_disk(const std::string& name) {
  Disk disk;
  disk.target = name;
  disk.source = name.starts_with('/') ? name : std::string();
  return disk;
}

Failure no_disk(std::string_view name) {
  return report(ErrorKind::kNoDisk, text("disk '", name, "' not found in domain"));
}

Failure no_job_on(std::string_view target) {
  return report(ErrorKind::kNoJob, text("disk ", target, " does not have an active block job"));
}

Failure job_active_on(std::string_view target) {
  return report(ErrorKind::kJobActive, text("disk '", target, "' already in active block job"));
}

}  // namespace blockpull::virt
