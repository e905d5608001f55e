// SPDX-License-Identifier: Apache-2.0
//
// A version 5 UUID is the first 16 bytes of a SHA-1, with the version and the variant written over
// six of its bits.

#include "virt/domains/uuid.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/base/hash/sha1.h"

namespace blockpull::virt {
namespace {

constexpr std::size_t kUuidBytes = 16;

constexpr std::array<std::uint8_t, kUuidBytes> kDnsNamespace{
    0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

std::string hyphenated(std::string_view digits) {
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) {
      out += '-';
    }
    const char c = digits[i];
    out += c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

}  // namespace

std::optional<std::string> parse_uuid(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c == '-') {
      continue;
    }
    if (!is_hex(c) || digits.size() == kUuidBytes * 2) {
      return std::nullopt;
    }
    digits += c;
  }
  if (digits.size() != kUuidBytes * 2) {
    return std::nullopt;
  }
  return hyphenated(digits);
}

std::string uuid_of_name(std::string_view name) {
  std::vector<std::byte> message;
  for (const std::uint8_t byte : kDnsNamespace) {
    message.push_back(std::byte{byte});
  }
  for (const char c : name) {
    message.push_back(static_cast<std::byte>(c));
  }
  const auto digest = sha1(std::move(message));
  std::string digits;
  for (std::size_t i = 0; i < kUuidBytes; ++i) {
    std::uint32_t byte = (digest[i / 4] >> (24 - 8 * (i % 4))) & 0xffU;
    if (i == 6) {
      byte = (byte & 0x0fU) | 0x50U;  // version 5
    } else if (i == 8) {
      byte = (byte & 0x3fU) | 0x80U;  // the variant of RFC 9562
    }
    digits += "0123456789abcdef"[byte >> 4U];
    digits += "0123456789abcdef"[byte & 0xfU];
  }
  return hyphenated(digits);
}

}  // namespace blockpull::virt
