// SPDX-License-Identifier: Apache-2.0
//
// Which layer of a chain a caller's name for the base means, whether our engine or a guest's QEMU
// is to pull. A name fits a layer
//
//     by its file      the name leads to it, from here or from the folder of the overlay
//     by its name      the layer was opened by it, QEMU's node has it, or the overlay's header
//                      states it
//
// and may fit two: from here it leads to a deep layer, and a header further up states the same for
// another file. libvirt's calls take the upper one, as libvirt does; everybody else is asked.

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
  /// A name that fits two layers is refused; otherwise it means the upper one.
  bool is_exact = false;
};

/// What a layer goes by.
struct NamedLayer {
  std::string path;
  /// What the header above it states; may be empty.
  std::string stated;
  /// QEMU's name for it, or empty.
  std::string node;
  /// Absent where it cannot be seen from here.
  std::optional<io::FileId> file;
};

/// Index of the layer that `base` means, below the first. kNoBase; kInvalidArgument for a name that
/// fits two. Blocks for a few stats.
[[nodiscard]] Result<std::size_t> find_base(const std::vector<NamedLayer>& layers,
                                            const BaseChoice& base);

}  // namespace blockpull::driver
