// SPDX-License-Identifier: Apache-2.0
//
// What the driver refuses a pull for, in the words of a connection, whoever was to do the work:
// libvirt says it of the disk's target and of the base that was named. Where that is libvirt's own
// sentence, what the driver or QEMU said goes into the hint.
//
// Pure functions.

#pragma once

#include <optional>

#include "driver/pull.h"
#include "virt/domains/domain_xml.h"

namespace blockpull::virt {

/// What was asked of the driver.
struct AskedPull {
  const Disk& disk;
  const std::optional<driver::BaseChoice>& base;
  bool require_relative = false;
};

[[nodiscard]] Failure pull_refused(Error error, const AskedPull& asked);

}  // namespace blockpull::virt
