// SPDX-License-Identifier: Apache-2.0
//
// Small pulls that between them do everything a pull can do to an image: new L2 tables, new
// refcount blocks in several rounds of hooking, a growing refcount table, both header edits, leaks
// of an earlier crash, unknown autoclear bits.

#pragma once

#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "driver/pull_rig.h"
#include "faults/image_recipe.h"

namespace blockpull::driver {

struct CrashCase {
  std::string name;
  faults::ImageRecipe top;
  faults::BackingFiles backings;
  /// What stays; empty: nothing.
  std::string base;
  /// What lies behind the image is somebody's, and is kept.
  bool keeps_trailer = false;
  /// Bytes a second: so few that a pull takes several checkpoints. 0: no limit.
  std::uint64_t bandwidth = 8192;

  [[nodiscard]] TrailingPolicy trailing() const {
    return keeps_trailer ? TrailingPolicy::kKeep : TrailingPolicy::kRefuse;
  }
};

[[nodiscard]] std::vector<CrashCase> crash_cases();

/// A case that nobody thought of.
[[nodiscard]] CrashCase random_case(std::mt19937_64& random);

/// How GoogleTest names a case.
inline std::ostream& operator<<(std::ostream& out, const CrashCase& crash_case) {
  return out << crash_case.name;
}

}  // namespace blockpull::driver
