// SPDX-License-Identifier: Apache-2.0

#include "core/base/hash/sha1.h"

#include <bit>
#include <span>

#include "core/base/bytes.h"

namespace blockpull {
namespace {

constexpr std::size_t kBlock = 64;

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

void mix_block(Sha1Words& state, std::span<const std::byte> block) {
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
  const Sha1Words added{a, b, c, d, e};
  for (std::size_t i = 0; i < state.size(); ++i) {
    state[i] += added[i];
  }
}

}  // namespace

Sha1Words sha1(std::vector<std::byte> message) {
  const std::uint64_t bits = message.size() * 8;
  message.push_back(std::byte{0x80});
  while (message.size() % kBlock != kBlock - 8) {
    message.push_back(std::byte{0});
  }
  message.resize(message.size() + 8);
  put_be_at(std::span(message), message.size() - 8, bits);
  Sha1Words state{0x67452301U, 0xefcdab89U, 0x98badcfeU, 0x10325476U, 0xc3d2e1f0U};
  for (std::size_t at = 0; at < message.size(); at += kBlock) {
    mix_block(state, std::span(message).subspan(at, kBlock));
  }
  return state;
}

}  // namespace blockpull
