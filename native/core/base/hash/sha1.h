// SPDX-License-Identifier: Apache-2.0
//
// SHA-1, only because version 5 UUIDs are defined by it. It is no protection. It follows RFC 3174,
// section 6.1, in one pass over a padded copy, since names are short.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace blockpull {

/// The digest; the first word has its first four bytes, the first byte highest.
using Sha1Words = std::array<std::uint32_t, 5>;

[[nodiscard]] Sha1Words sha1(std::vector<std::byte> message);

}  // namespace blockpull
