// SPDX-License-Identifier: Apache-2.0
//
// How a caller names the base: `vda[2]`, a path, or the name that a header states. libvirt numbers
// the layers of running guests in the order in which it meets them. Here the number is the position
// in the chain, 1 for the first backing file. Failures have libvirt's words.

#pragma once

#include <string>

#include "driver/pull.h"
#include "virt/domains/domain_xml.h"

namespace blockpull::virt {

/// The base that `name` asks for. kNoBase if it is `hdb[2]` but the disk's target is not hdb.
[[nodiscard]] Result<driver::BaseChoice> parse_base(const std::string& name, const Disk& disk);

/// The failure when the chain has no such layer.
[[nodiscard]] Failure no_such_base(const driver::BaseChoice& base, const Disk& disk);

}  // namespace blockpull::virt
