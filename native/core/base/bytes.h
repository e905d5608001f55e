// SPDX-License-Identifier: Apache-2.0
//
// Integers in bytes. qcow2 is big-endian throughout. Fields are copied out of and into a span of
// their exact size, so alignment and the end of the buffer do not matter. A walk over tables loads
// an entry every few nanoseconds, so this uses one load and one byte swap, not a loop over bytes.

#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace blockpull {

/// `value` with its bytes in the opposite order.
template <std::unsigned_integral T>
[[nodiscard]] constexpr T swap_bytes(T value) {
  if constexpr (sizeof(T) == 8) {
    return __builtin_bswap64(value);
  } else if constexpr (sizeof(T) == 4) {
    return __builtin_bswap32(value);
  } else if constexpr (sizeof(T) == 2) {
    return __builtin_bswap16(value);
  } else {
    return value;
  }
}

/// Converts between the machine's order and big-endian, in either direction.
template <std::unsigned_integral T>
[[nodiscard]] constexpr T big_endian(T value) {
  return std::endian::native == std::endian::little ? swap_bytes(value) : value;
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr T load_be(std::span<const std::byte, sizeof(T)> from) {
  std::array<std::byte, sizeof(T)> bytes{};
  std::copy(from.begin(), from.end(), bytes.begin());
  return big_endian(std::bit_cast<T>(bytes));
}

template <std::unsigned_integral T>
constexpr void store_be(std::span<std::byte, sizeof(T)> to, T value) {
  const auto bytes = std::bit_cast<std::array<std::byte, sizeof(T)>>(big_endian(value));
  std::copy(bytes.begin(), bytes.end(), to.begin());
}

/// The big-endian field of type T at `offset`. The caller has checked that it lies inside `from`.
template <std::unsigned_integral T>
[[nodiscard]] constexpr T be_at(std::span<const std::byte> from, std::size_t offset) {
  return load_be<T>(std::span<const std::byte, sizeof(T)>(from.subspan(offset, sizeof(T))));
}

template <std::unsigned_integral T>
constexpr void put_be_at(std::span<std::byte> to, std::size_t offset, T value) {
  store_be<T>(std::span<std::byte, sizeof(T)>(to.subspan(offset, sizeof(T))), value);
}

/// The bytes as characters.
[[nodiscard]] inline std::string string_of(std::span<const std::byte> bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (const std::byte byte : bytes) {
    out += std::to_integer<char>(byte);
  }
  return out;
}

/// Whether every byte is zero. Data that is not usually ends the test at the first word.
[[nodiscard]] bool all_zero(std::span<const std::byte> bytes);

}  // namespace blockpull
