// SPDX-License-Identifier: Apache-2.0
//
// SHA-1 is here because version 5 UUIDs are defined by it, and for nothing else: it protects
// nothing. Written after RFC 3174, section 6.1, in one pass over a padded copy, since names are
// short.

#include "virt/uuid.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/bytes.h"

namespace blockpull::virt {
namespace {

constexpr std::size_t kBlock = 64;
constexpr std::size_t kUuidBytes = 16;

constexpr std::array<std::uint8_t, kUuidBytes> kDnsNamespace{
    0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};

struct Round {
  std::uint32_t mixed;
  std::uint32_t constant;
};

Round round_at(std::size_t step, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  if (step < 20) {
    return {(b & c) | (~b & d), 0x5a827999U};
  }
  if (step < 40) {
    return {b ^ c ^ d, 0x6ed9eba1U};
  }
  if (step < 60) {
    return {(b & c) | (b & d) | (c & d), 0x8f1bbcdcU};
  }
  return {b ^ c ^ d, 0xca62c1d6U};
}

void mix_block(std::array<std::uint32_t, 5>& state, std::span<const std::byte> block) {
  std::array<std::uint32_t, 80> words{};
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i] = i < 16 ? be_at<std::uint32_t>(block, i * 4)
                      : std::rotl(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
  }
  auto [a, b, c, d, e] = state;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const Round round = round_at(i, b, c, d);
    const std::uint32_t next = std::rotl(a, 5) + round.mixed + e + words[i] + round.constant;
    e = d;
    d = c;
    c = std::rotl(b, 30);
    b = a;
    a = next;
  }
  const std::array<std::uint32_t, 5> added{a, b, c, d, e};
  for (std::size_t i = 0; i < state.size(); ++i) {
    state[i] += added[i];
  }
}

std::array<std::uint32_t, 5> sha1(std::vector<std::byte> message) {
  const std::uint64_t bits = message.size() * 8;
  message.push_back(std::byte{0x80});
  while (message.size() % kBlock != kBlock - 8) {
    message.push_back(std::byte{0});
  }
  message.resize(message.size() + 8);
  put_be_at(std::span(message), message.size() - 8, bits);
  std::array<std::uint32_t, 5> state{0x67452301U, 0xefcdab89U, 0x98badcfeU, 0x10325476U,
                                     0xc3d2e1f0U};
  for (std::size_t at = 0; at < message.size(); at += kBlock) {
    mix_block(state, std::span(message).subspan(at, kBlock));
  }
  return state;
}

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
  message.reserve(kDnsNamespace.size() + name.size() + kBlock + 16);
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
