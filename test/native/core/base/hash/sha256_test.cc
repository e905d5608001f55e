// SPDX-License-Identifier: Apache-2.0
//
// Known answers: the examples of FIPS 180-4 and its test vectors.

#include "core/base/hash/sha256.h"

#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace blockpull {
namespace {

std::string digest_of(std::string_view content) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(content)));
  return hash.finish();
}

TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(digest_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(digest_of(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, TheSplitOfTheInputDoesNotMatter) {
  std::string content(1000, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) {
    content[i] = static_cast<char>(i);
  }
  for (std::size_t length = 0; length < 200; ++length) {
    const std::string_view part = std::string_view(content).substr(0, length);
    for (const std::size_t cut : {std::size_t{1}, std::size_t{63}, std::size_t{64}}) {
      Sha256 hash;
      for (std::size_t at = 0; at < part.size(); at += cut) {
        hash.update(std::as_bytes(std::span(part.substr(at, cut))));
      }
      ASSERT_EQ(hash.finish(), digest_of(part)) << length << " by " << cut;
    }
  }
}

}  // namespace
}  // namespace blockpull
