// SPDX-License-Identifier: Apache-2.0
//
// A disk of a running domain. It has three names: the caller's; those in the domain's XML, a target
// and a path (a domain that is only a socket has no XML); and QEMU's, a device, a node and a file.
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

/// A disk of a running domain. Without XML, `disk.source` is empty and `disk.target` is the
/// caller's name for it.
struct GuestDisk {
  Domain domain;
  Disk disk;
};

[[nodiscard]] DiskRef ref_to(const GuestDisk& on);

/// The names by which QEMU is to find it.
[[nodiscard]] driver::qemu::DiskName name_for_qemu(const Disk& disk);

/// The disk of `domain` that a job in its QEMU works on. If the XML does not have it, it gets
/// QEMU's name.
[[nodiscard]] Disk disk_of(const Domain& domain, const driver::qemu::StreamPlan& plan);

/// The refusal when QEMU has no such disk: libvirt's sentence, with `why`, which lists the disks
/// that it has, as the hint.
[[nodiscard]] Failure no_such_disk(const Disk& disk, const Error& why);

/// The disks in the domain's XML; if it states none and the domain runs, the disks of its QEMU.
void list_disks(const std::shared_ptr<Connection>& connection, const std::string& uuid,
                Answer<std::vector<Disk>> done);

}  // namespace blockpull::virt
