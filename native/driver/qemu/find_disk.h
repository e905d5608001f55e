// SPDX-License-Identifier: Apache-2.0
//
// Which of the images that a running guest has is the disk that somebody named.
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
  /// Path of the active layer, and the same with symbolic links resolved; both may be empty.
  std::string path;
  std::string canonical_path;
  /// A device, the id of the guest's device, or a node; looked for when `path` is empty.
  std::string name;
  /// The file at `path`, where there is one here.
  std::optional<io::FileId> file = {};
};

/// The node of that disk's active layer. kNoDisk, with what QEMU has instead.
[[nodiscard]] Result<std::size_t> find_disk_node(const BlockGraph& graph, const DiskName& disk);

}  // namespace blockpull::driver::qemu
