// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic at its edges.

#include "core/base/checked.h"

#include <limits>

#include <gtest/gtest.h>

namespace blockpull {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

TEST(Checked, ARangeThatWrapsDoesNotFit) {
  EXPECT_TRUE(fits(0, 10, 10));
  EXPECT_TRUE(fits(10, 0, 10));
  EXPECT_FALSE(fits(1, 10, 10));
  EXPECT_FALSE(fits(kMost, 1, kMost));
  EXPECT_FALSE(fits(kMost, kMost, 10));
}

TEST(Checked, RoundingGoesToTheNextMultiple) {
  EXPECT_EQ(divide_up(0, 8), 0U);
  EXPECT_EQ(divide_up(9, 8), 2U);
  EXPECT_EQ(divide_up(kMost, 1), kMost);
  EXPECT_EQ(round_up(513, 512), 1024U);
  EXPECT_EQ(round_down(1023, 512), 512U);
  EXPECT_TRUE(is_aligned(1024, 512));
  EXPECT_FALSE(is_aligned(1000, 512));
}

}  // namespace
}  // namespace blockpull
