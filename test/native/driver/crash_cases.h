// SPDX-License-Identifier: Apache-2.0
//
// Small pulls that together do everything that a pull can do to an image: new L2 tables, new
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
  /// The base; empty: none stays.
  std::string base;
  /// The bytes behind the image are foreign, and are kept.
  bool keeps_trailer = false;
  /// Bytes a second, so few that a pull takes several checkpoints; 0: no limit.
  std::uint64_t bandwidth = 8192;

  [[nodiscard]] TrailingPolicy trailing() const {
    return keeps_trailer ? TrailingPolicy::kKeep : TrailingPolicy::kRefuse;
  }
};

[[nodiscard]] std::vector<CrashCase> crash_cases();

/// A random case.
[[nodiscard]] CrashCase random_case(std::mt19937_64& random);

/// GoogleTest's name of a case.
inline std::ostream& operator<<(std::ostream& out, const CrashCase& crash_case) {
  return out << crash_case.name;
}

}  // namespace blockpull::driver
