// SPDX-License-Identifier: Apache-2.0
//
// One refcount inside a refcount block. Widths of 8 bits and more are big-endian integers; narrower
// ones are packed into bytes, least significant bits first (specification, "Host cluster
// management").

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace blockpull::image::qcow2 {

/// Entry `index` of a block whose entries are 2^order bits wide.
[[nodiscard]] constexpr std::uint64_t load_refcount(std::span<const std::byte> block,
                                                    std::uint32_t order, std::uint64_t index) {
  if (order < 3) {
    const std::uint64_t bit = index << order;
    const auto byte = std::to_integer<std::uint32_t>(block[bit / 8]);
    const std::uint32_t mask = (1U << (1U << order)) - 1;
    return (byte >> (bit % 8)) & mask;
  }
  const std::size_t width = std::size_t{1} << (order - 3);
  std::uint64_t value = 0;
  for (const std::byte byte : block.subspan(index * width, width)) {
    value = (value << 8U) | std::to_integer<std::uint64_t>(byte);
  }
  return value;
}

constexpr void store_refcount(std::span<std::byte> block, std::uint32_t order, std::uint64_t index,
                              std::uint64_t value) {
  if (order < 3) {
    const std::uint64_t bit = index << order;
    const std::uint32_t mask = ((1U << (1U << order)) - 1) << (bit % 8);
    auto byte = std::to_integer<std::uint32_t>(block[bit / 8]);
    byte = (byte & ~mask) | (static_cast<std::uint32_t>(value << (bit % 8)) & mask);
    block[bit / 8] = static_cast<std::byte>(byte);
    return;
  }
  const std::size_t width = std::size_t{1} << (order - 3);
  const auto entry = block.subspan(index * width, width);
  for (std::size_t i = width; i-- > 0;) {
    entry[i] = static_cast<std::byte>(value & 0xffU);
    value >>= 8U;
  }
}

}  // namespace blockpull::image::qcow2
