// SPDX-License-Identifier: Apache-2.0
//
// Words a driver's refusal of a pull for a connection, for our own engine and for QEMU. libvirt's
// sentences name the disk's target and the requested base. If libvirt has a sentence of its own,
// the driver's or QEMU's message becomes the hint.
//
// Pure functions.

#pragma once

#include <optional>

#include "driver/pull.h"
#include "virt/domains/domain_xml.h"

namespace blockpull::virt {

/// The request that the driver refused.
struct AskedPull {
  const Disk& disk;
  const std::optional<driver::BaseChoice>& base;
  bool require_relative = false;
};

[[nodiscard]] Failure pull_refused(Error error, const AskedPull& asked);

}  // namespace blockpull::virt
