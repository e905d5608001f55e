// SPDX-License-Identifier: Apache-2.0
//
// Images for repairs: written byte by byte or made by qemu-img, and then damaged in a few places.

#pragma once

#include <random>
#include <string>
#include <vector>

#include "faults/content.h"

namespace blockpull::image::qcow2 {

/// What can be wrong with an image.
enum class Damage : std::uint8_t {
  kLowRefcount,
  kHighRefcount,
  kLeak,
  kMissingBlock,
  kReservedBlock,
  kBlockOutside,
  kBlockTwice,
  kBlockWithData,
  kBehindTable,
  kFlag,
  kSharedData,
  /// From here on, an entry that cannot be right.
  kReservedBit,
  kReferenceOutside,
};

inline constexpr std::size_t kDamages = static_cast<std::size_t>(Damage::kReferenceOutside) + 1;

struct RepairCase {
  std::string name;
  faults::Content image;
  /// Everything in it is understood, so a repair leaves nothing.
  bool is_understood = true;
  /// A repair that has moved the refcounts may have made it so: a block that was used twice had
  /// more references than one bit can state.
  bool may_become_understood = false;
};

/// Sound images, written byte by byte.
[[nodiscard]] std::vector<RepairCase> written_images();

/// Sound images by qemu-img, with snapshots, a bitmap, compressed clusters, subclusters, and an
/// external data file.
[[nodiscard]] std::vector<RepairCase> images_by_qemu();

/// Adds one damage, where the random numbers say, if the image has such a place.
void damage(RepairCase& repair_case, Damage kind, std::mt19937_64& random);

}  // namespace blockpull::image::qcow2
