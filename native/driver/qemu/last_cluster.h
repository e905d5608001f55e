// SPDX-License-Identifier: Apache-2.0
//
// Warns of the bytes that a pull by QEMU leaves after the end of a disk that ends inside a cluster.
// Our own engine writes zeros there (`core/image/qcow2/disk_tail.h`). Under a running guest nobody
// can: the image belongs to QEMU, and the guest cannot reach those bytes.
//
// Thread rule: any thread that may block.

#pragma once

#include <string>

#include "driver/qemu/stream_plan.h"

namespace blockpull::driver::qemu {

/// For use after the end of the stream. The warning if the disk would show bytes of a dropped
/// backing file once it grows. Empty if not, or if the file is not visible from here.
[[nodiscard]] std::string warn_of_last_cluster(const StreamPlan& plan);

}  // namespace blockpull::driver::qemu
