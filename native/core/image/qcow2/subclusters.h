// SPDX-License-Identifier: Apache-2.0
//
// The bitmap of an extended L2 entry: two bits for each of 32 subclusters (section "Extended L2
// Entries").
//
//     63 … 32 reads as zeros │ 31 … 0 allocated        subcluster x: bits 32 + x and x
//
//     allocated 1, zero 0    data in the cluster at its place
//     allocated 0, zero 1    zeros
//     both 0                 the layer below decides
//     both 1                 invalid

#pragma once

#include <bit>
#include <cstdint>

#include "core/image/extent.h"
#include "core/image/qcow2/layout.h"

namespace blockpull::image::qcow2 {

class Subclusters {
 public:
  explicit constexpr Subclusters(std::uint64_t bitmap)
      : allocated_(static_cast<std::uint32_t>(bitmap)),
        zero_(static_cast<std::uint32_t>(bitmap >> 32U)) {}

  /// Whether no subcluster has both bits, and none is allocated in a cluster without a host offset.
  [[nodiscard]] constexpr bool is_sound(bool has_host) const {
    return has_host ? (allocated_ & zero_) == 0 : allocated_ == 0;
  }

  [[nodiscard]] constexpr Status status(std::uint32_t index) const {
    const std::uint32_t bit = 1U << index;
    return (zero_ & bit) != 0        ? Status::kZero
           : (allocated_ & bit) != 0 ? Status::kData
                                     : Status::kUnallocated;
  }

  /// How many subclusters from `index` on have the status of the first; at least 1.
  [[nodiscard]] constexpr std::uint32_t run_length(std::uint32_t index) const {
    const std::uint32_t same_zero = (status(index) == Status::kZero ? zero_ : ~zero_) >> index;
    const bool data = status(index) == Status::kData;
    const bool zero = status(index) == Status::kZero;
    const std::uint32_t same_allocated = (data ? allocated_ : zero ? ~0U : ~allocated_) >> index;
    const auto run = static_cast<std::uint32_t>(std::countr_one(same_zero & same_allocated));
    const std::uint32_t left = kSubclusters - index;
    return run < left ? run : left;
  }

 private:
  std::uint32_t allocated_;
  std::uint32_t zero_;
};

}  // namespace blockpull::image::qcow2
