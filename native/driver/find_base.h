// SPDX-License-Identifier: Apache-2.0
//
// Finds the layer that a caller's name for the base means, both for our engine and for a guest's
// QEMU. A name fits a layer
//
//     by its file      the name leads to it, from here or from the folder of the overlay
//     by its name      the layer was opened by it, QEMU's node has it, or the overlay's header
//                      states it
//
// A name may fit two layers: from here it leads to a deep layer, and a header further up states the
// same name for another file. libvirt's calls take the upper one, as libvirt does. For all others
// such a name is refused.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/io/posix_file.h"

namespace blockpull::driver {

/// The layer that stays: by a name, or by its index in the chain (1 is the first backing file).
struct BaseChoice {
  std::string name;
  std::optional<std::size_t> index;
  /// Refuse a name that fits two layers; otherwise it means the upper one.
  bool is_exact = false;
};

/// The names of a layer.
struct NamedLayer {
  std::string path;
  /// The name that the header above it states; may be empty.
  std::string stated;
  /// QEMU's node name for it, or empty.
  std::string node;
  /// Absent if the file cannot be seen from here.
  std::optional<io::FileId> file;
};

/// Index of the layer that `base` means, below the first. kNoBase if none; kInvalidArgument if the
/// name fits two. Blocks for a few stats.
[[nodiscard]] Result<std::size_t> find_base(const std::vector<NamedLayer>& layers,
                                            const BaseChoice& base);

}  // namespace blockpull::driver
