// SPDX-License-Identifier: Apache-2.0
//
// Finds the image of a running guest that is the disk somebody named.
//
// Pure functions.

#pragma once

#include <optional>
#include <string>

#include "core/base/result.h"
#include "driver/qemu/block_graph.h"

namespace blockpull::driver::qemu {

/// How a caller names a disk of a running guest.
struct DiskName {
  /// Path of the active layer, and the same path with symbolic links resolved; both may be empty.
  std::string path;
  std::string canonical_path;
  /// A device, the id of the guest's device, or a node; used if `path` is empty.
  std::string name;
  /// The file at `path`, if there is one here.
  std::optional<io::FileId> file = {};
};

/// The node of that disk's active layer. kNoDisk lists what QEMU has instead.
[[nodiscard]] Result<std::size_t> find_disk_node(const BlockGraph& graph, const DiskName& disk);

}  // namespace blockpull::driver::qemu
