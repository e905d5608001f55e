// SPDX-License-Identifier: Apache-2.0
//
// How a caller names the layer that stays: `vda[2]`, a path, or the name that a header states.
// libvirt numbers the layers of running guests as they come; here the number is the place in the
// chain, 1 for the first backing file. Failures have libvirt's words.

#pragma once

#include <string>

#include "driver/pull.h"
#include "virt/domains/domain_xml.h"

namespace blockpull::virt {

/// What `name` asks for. kNoBase when it is `hdb[2]` and the disk's target is not hdb.
[[nodiscard]] Result<driver::BaseChoice> parse_base(const std::string& name, const Disk& disk);

/// What is said when the chain has no such layer.
[[nodiscard]] Failure no_such_base(const driver::BaseChoice& base, const Disk& disk);

}  // namespace blockpull::virt
