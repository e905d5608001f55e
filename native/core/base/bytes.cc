// SPDX-License-Identifier: Apache-2.0
//
// The zero test checks the first 16 bytes itself. It then compares the buffer with itself shifted
// by 16 bytes, which the C library does with the widest instructions of the machine.

#include "core/base/bytes.h"

#include <algorithm>
#include <cstring>

namespace blockpull {

bool all_zero(std::span<const std::byte> bytes) {
  constexpr std::size_t kHead = 16;
  const auto head = bytes.first(std::min(kHead, bytes.size()));
  for (const std::byte byte : head) {
    if (byte != std::byte{0}) {
      return false;
    }
  }
  return bytes.size() <= kHead ||
         std::memcmp(bytes.data(), bytes.data() + kHead, bytes.size() - kHead) == 0;
}

}  // namespace blockpull
