// SPDX-License-Identifier: Apache-2.0
//
// Integers in bytes. qcow2 is big-endian throughout; both directions go byte by byte through a span, so
// alignment and the end of the buffer never come into it: the caller gives a span of the field's exact size.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace blockpull {

template <typename T>
[[nodiscard]] constexpr T load_be(std::span<const std::byte, sizeof(T)> from) {
  T value = 0;
  for (const std::byte byte : from) {
    value = static_cast<T>((static_cast<std::uint64_t>(value) << 8U) | std::to_integer<std::uint64_t>(byte));
  }
  return value;
}

template <typename T>
constexpr void store_be(std::span<std::byte, sizeof(T)> to, T value) {
  for (std::size_t i = sizeof(T); i-- > 0;) {
    to[i] = static_cast<std::byte>(value & 0xffU);
    value = static_cast<T>(static_cast<std::uint64_t>(value) >> 8U);
  }
}

/// The big-endian field of type T at `offset`; the caller has checked that it lies inside `from`.
template <typename T>
[[nodiscard]] constexpr T be_at(std::span<const std::byte> from, std::size_t offset) {
  return load_be<T>(std::span<const std::byte, sizeof(T)>(from.subspan(offset, sizeof(T))));
}

template <typename T>
constexpr void put_be_at(std::span<std::byte> to, std::size_t offset, T value) {
  store_be<T>(std::span<std::byte, sizeof(T)>(to.subspan(offset, sizeof(T))), value);
}

/// Whether every byte is zero. The common non-zero case ends at the first word.
[[nodiscard]] bool all_zero(std::span<const std::byte> bytes);

}  // namespace blockpull
