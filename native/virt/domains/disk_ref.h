// SPDX-License-Identifier: Apache-2.0
//
// Which disk a job works on.

#pragma once

#include <string>

namespace blockpull::virt {

/// All empty for a bare image.
struct DiskRef {
  std::string domain_name;
  std::string domain_uuid;
  /// "vda".
  std::string target;
  /// Path of the active layer.
  std::string source;
};

}  // namespace blockpull::virt
