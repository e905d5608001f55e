// SPDX-License-Identifier: Apache-2.0
//
// What a pull by QEMU leaves behind the end of a disk that ends inside a cluster, and what is told
// of it. Our own engine writes zeros there (`core/image/qcow2/disk_tail.h`); under a running guest
// nobody can, since the bytes belong to QEMU and to no guest.
//
// Thread rule: any thread that may block.

#pragma once

#include <string>

#include "driver/qemu/stream_plan.h"

namespace blockpull::driver::qemu {

/// After the end of the stream: a sentence for the outcome where bytes of a backing file that
/// dropped out would show once the disk grows, and an empty one where not, or where the file is not
/// to be seen from here.
[[nodiscard]] std::string warn_of_last_cluster(const StreamPlan& plan);

}  // namespace blockpull::driver::qemu
