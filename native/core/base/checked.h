// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic on numbers that come from disk or from users. `checked_*` answers nullopt on overflow;
// the rounding functions are for values already known to be far from 2^64 and for powers of two.

#pragma once

#include <bit>
#include <cstdint>
#include <optional>

namespace blockpull {

[[nodiscard]] constexpr std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::nullopt : std::optional(sum);
}

[[nodiscard]] constexpr std::optional<std::uint64_t> checked_multiply(std::uint64_t a,
                                                                      std::uint64_t b) {
  std::uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? std::nullopt : std::optional(product);
}

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
