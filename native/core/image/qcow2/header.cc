// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/header.h"

#include <algorithm>

#include "core/base/checked.h"

namespace blockpull::image::qcow2 {

const Extension* Header::find(std::uint32_t type) const {
  const auto found = std::find_if(extensions.begin(), extensions.end(),
                                  [type](const Extension& each) { return each.type == type; });
  return found == extensions.end() ? nullptr : &*found;
}

bool lies_in_file(std::uint64_t offset, std::uint64_t bytes, std::uint64_t file_size,
                  std::uint64_t cluster_size) {
  return fits(offset, bytes, round_up(file_size, kSector) + cluster_size - 1);
}

}  // namespace blockpull::image::qcow2
