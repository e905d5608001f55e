// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic on numbers from disk or from users. `fits` checks a range without a sum that could
// overflow. The rounding functions are for powers of two, and for values known to be far from 2^64.

#pragma once

#include <cstdint>

namespace blockpull {

/// Whether [offset, offset + length) lies inside [0, end).
[[nodiscard]] constexpr bool fits(std::uint64_t offset, std::uint64_t length, std::uint64_t end) {
  return length <= end && offset <= end - length;
}

[[nodiscard]] constexpr std::uint64_t divide_up(std::uint64_t value, std::uint64_t divisor) {
  return value / divisor + (value % divisor == 0 ? 0 : 1);
}

/// `alignment` is a power of two.
[[nodiscard]] constexpr std::uint64_t round_down(std::uint64_t value, std::uint64_t alignment) {
  return value & ~(alignment - 1);
}

[[nodiscard]] constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t alignment) {
  return round_down(value + (alignment - 1), alignment);
}

[[nodiscard]] constexpr bool is_aligned(std::uint64_t value, std::uint64_t alignment) {
  return (value & (alignment - 1)) == 0;
}

}  // namespace blockpull
