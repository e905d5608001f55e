// SPDX-License-Identifier: Apache-2.0
//
// Against the test vectors that FNV's authors publish.

#include "core/base/hash/fnv.h"

#include <gtest/gtest.h>

namespace blockpull {
namespace {

TEST(Fnv1a, GivesThePublishedHashes) {
  EXPECT_EQ(fnv1a(""), 0x811c9dc5U);
  EXPECT_EQ(fnv1a("a"), 0xe40c292cU);
  EXPECT_EQ(fnv1a("foobar"), 0xbf9cf968U);
}

}  // namespace
}  // namespace blockpull
