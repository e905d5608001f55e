// SPDX-License-Identifier: Apache-2.0
//
// The sentence about bytes behind the end of a disk that could not be made zeros, for both engines.

#pragma once

#include <cstdint>
#include <string>

#include "core/base/text.h"

namespace blockpull::driver {

[[nodiscard]] inline std::string tail_warning(const std::string& path, std::uint64_t disk_bytes,
                                              std::uint64_t tail_bytes) {
  return text("image '", path, "' has ", tail_bytes, " bytes of what lay below it behind the end ",
              "of its disk of ", disk_bytes, " bytes, in the same cluster; nothing reads them as ",
              "long as the disk is not grown, and they would show then: write zeros to the new ",
              "space after growing it");
}

}  // namespace blockpull::driver
