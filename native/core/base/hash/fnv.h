// SPDX-License-Identifier: Apache-2.0
//
// FNV-1a of 32 bits, as its authors define it: a short fingerprint of a name. It is no protection.

#pragma once

#include <cstdint>
#include <string_view>

namespace blockpull {

[[nodiscard]] constexpr std::uint32_t fnv1a(std::string_view bytes) {
  std::uint32_t hash = 2166136261U;
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 16777619U;
  }
  return hash;
}

}  // namespace blockpull
