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

  constexpr Subclusters(std::uint32_t allocated, std::uint32_t zero)
      : allocated_(allocated), zero_(zero) {}

  [[nodiscard]] constexpr std::uint32_t allocated() const { return allocated_; }
  [[nodiscard]] constexpr std::uint32_t zero() const { return zero_; }
  /// Those that the layer below decides.
  [[nodiscard]] constexpr std::uint32_t missing() const { return ~(allocated_ | zero_); }

  /// Behind the last allocated one.
  [[nodiscard]] constexpr std::uint32_t unallocated_at_end() const {
    return static_cast<std::uint32_t>(std::countl_zero(allocated_));
  }

  /// How many zeros follow the last allocated one.
  [[nodiscard]] constexpr std::uint32_t zeros_behind_allocated() const {
    const std::uint64_t behind = std::uint64_t{zero_} >> (kSubclusters - unallocated_at_end());
    return static_cast<std::uint32_t>(std::countr_one(behind));
  }

  /// As the entry has it.
  [[nodiscard]] constexpr std::uint64_t bitmap() const {
    return std::uint64_t{zero_} << 32U | allocated_;
  }

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

/// One bit for each subcluster from `first` up to, but without, `end`.
[[nodiscard]] constexpr std::uint32_t subcluster_mask(std::uint32_t first, std::uint32_t end) {
  const std::uint64_t below_end = (std::uint64_t{1} << end) - 1;
  const std::uint64_t below_first = (std::uint64_t{1} << first) - 1;
  return static_cast<std::uint32_t>(below_end & ~below_first);
}

/// Consecutive subclusters: [first, end).
struct SubclusterRun {
  std::uint32_t first = 0;
  std::uint32_t end = 0;

  [[nodiscard]] constexpr std::uint32_t mask() const { return subcluster_mask(first, end); }
};

/// The lowest run of bits that are set in `mask`, which is not 0.
[[nodiscard]] constexpr SubclusterRun first_run(std::uint32_t mask) {
  const auto first = static_cast<std::uint32_t>(std::countr_zero(mask));
  return {first, first + static_cast<std::uint32_t>(std::countr_one(mask >> first))};
}

}  // namespace blockpull::image::qcow2
