// SPDX-License-Identifier: Apache-2.0
//
// Names the disk that a job works on.

#pragma once

#include <string>

namespace blockpull::virt {

/// All fields are empty for a bare image.
struct DiskRef {
  std::string domain_name;
  std::string domain_uuid;
  /// "vda".
  std::string target;
  /// Path of the active layer.
  std::string source;
};

}  // namespace blockpull::virt
