// SPDX-License-Identifier: Apache-2.0
//
// Bytes behind the end of the disk, in its last cluster.
//
//     cluster   │ … guest bytes … │ behind the end │         a disk that ends inside a cluster
//     backing   │ b b b b b b b b   b b b b b b b b b b …    and is longer
//
// QEMU's copy-on-write fills the whole cluster from the backing file. Nobody reads the bytes behind
// the end. If the disk grows while the backing file is longer, QEMU writes zeros there. Once the
// backing file is gone it does not, and a grown disk would show those bytes.
//
// Thread rule: one thread at a time, and it may block.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/image/qcow2/disk_states.h"

namespace blockpull::image::qcow2 {

struct DiskTail {
  /// Offset in the file and length in bytes; if it is compressed, inside the stream.
  std::uint64_t host_offset = 0;
  std::uint64_t length = 0;
  /// Not if it is compressed, or if something else may use the cluster.
  bool can_be_cleared = true;
};

/// That of each state's last cluster, each host cluster once. Without those that have only zeros.
[[nodiscard]] Result<std::vector<DiskTail>> find_disk_tails(Qcow2Image& image,
                                                            const DiskStates& states);

/// The warning when the tail stays: what a grown disk would show, in a sentence.
[[nodiscard]] std::string warning_of(const std::string& path, const Qcow2Image& image,
                                     const DiskTail& tail);

/// Writes zeros over a tail that can be cleared; not yet durable. A crash may leave any part of
/// that, but no guest byte is in it.
[[nodiscard]] Result<void> clear_disk_tail(Qcow2Image& image, const DiskTail& tail);

}  // namespace blockpull::image::qcow2
