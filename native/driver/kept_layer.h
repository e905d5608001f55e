// SPDX-License-Identifier: Apache-2.0
//
// What a pull leaves below the active layer, as the driver finds it and domain XML states it.

#pragma once

#include <string>

namespace blockpull::driver {

/// The layer that stays below the active one.
struct KeptLayer {
  std::string path;
  /// "qcow2".
  std::string format;
};

}  // namespace blockpull::driver
