// SPDX-License-Identifier: Apache-2.0
//
// The vectors of RFC 3174, section 7.3, and lengths around the end of a block.

#include "core/base/hash/sha1.h"

#include <iomanip>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace blockpull {
namespace {

std::string sha1_of(const std::string& message) {
  std::vector<std::byte> bytes;
  for (const char c : message) {
    bytes.push_back(static_cast<std::byte>(c));
  }
  std::ostringstream out;
  for (const std::uint32_t word : sha1(std::move(bytes))) {
    out << std::hex << std::setw(8) << std::setfill('0') << word;
  }
  return out.str();
}

TEST(Sha1, GivesTheDigestsOfTheStandard) {
  EXPECT_EQ(sha1_of("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(sha1_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  EXPECT_EQ(sha1_of(std::string(1000000, 'a')), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST(Sha1, PadsEveryLengthRight) {
  EXPECT_EQ(sha1_of(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(sha1_of(std::string(55, 'a')), "c1c8bbdc22796e28c0e15163d20899b65621d65a");
  EXPECT_EQ(sha1_of(std::string(56, 'a')), "c2db330f6083854c99d4b5bfb6e8f29f201be699");
  EXPECT_EQ(sha1_of(std::string(64, 'a')), "0098ba824b5c16427bd7a1122a5a442a25ec644d");
}

}  // namespace
}  // namespace blockpull
