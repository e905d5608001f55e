// SPDX-License-Identifier: Apache-2.0
//
// A disk of a running domain. It has three names: what the caller said, what the domain's XML says
// (a target and a path; a domain that is only a socket has no XML), and what QEMU calls it (a
// device, a node and a file).
//
// Thread rule: any thread; answers come on the reactor's thread, or at once on this one.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "driver/qemu/stream_plan.h"
#include "virt/session/answer.h"
#include "virt/session/connection.h"

namespace blockpull::virt {

/// A disk of a running domain. Without XML, `disk.source` is empty and `disk.target` what the
/// caller said.
struct GuestDisk {
  Domain domain;
  Disk disk;
};

[[nodiscard]] DiskRef ref_to(const GuestDisk& on);

/// How QEMU is to look for it.
[[nodiscard]] driver::qemu::DiskName name_for_qemu(const Disk& disk);

/// The disk of `domain` that a job in its QEMU works on; one that the XML does not have is called
/// as QEMU calls it.
[[nodiscard]] Disk disk_of(const Domain& domain, const driver::qemu::StreamPlan& plan);

/// What is said when QEMU has no such disk: libvirt's sentence; `why` tells what it has, and is the
/// hint.
[[nodiscard]] Failure no_such_disk(const Disk& disk, const Error& why);

/// The disks that the domain's XML states, or, where that states none and the domain runs, those
/// that its QEMU has.
void list_disks(const std::shared_ptr<Connection>& connection, const std::string& uuid,
                Answer<std::vector<Disk>> answer);

}  // namespace blockpull::virt
