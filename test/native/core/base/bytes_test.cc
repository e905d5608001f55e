// SPDX-License-Identifier: Apache-2.0
//
// Big-endian fields and the test for zeros.

#include "core/base/bytes.h"

#include <vector>

#include <gtest/gtest.h>

namespace blockpull {
namespace {

TEST(Bytes, FieldsAreBigEndianInBothDirections) {
  std::vector<std::byte> bytes(16);
  put_be_at<std::uint64_t>(bytes, 1, 0x0102030405060708);
  EXPECT_EQ(bytes[0], std::byte{0});
  EXPECT_EQ(bytes[1], std::byte{1});
  EXPECT_EQ(bytes[8], std::byte{8});
  EXPECT_EQ(be_at<std::uint64_t>(bytes, 1), 0x0102030405060708U);
  EXPECT_EQ(be_at<std::uint32_t>(bytes, 2), 0x02030405U);
  EXPECT_EQ(be_at<std::uint16_t>(bytes, 7), 0x0708U);
  EXPECT_EQ(be_at<std::uint8_t>(bytes, 8), 0x08U);
}

TEST(Bytes, OneNonZeroByteAnywhereIsFound) {
  for (const std::size_t size : {1U, 15U, 16U, 17U, 33U, 4096U}) {
    std::vector<std::byte> bytes(size);
    EXPECT_TRUE(all_zero(bytes));
    for (const std::size_t at : {std::size_t{0}, size / 2, size - 1}) {
      bytes[at] = std::byte{1};
      EXPECT_FALSE(all_zero(bytes)) << at << " of " << size;
      bytes[at] = std::byte{0};
    }
  }
}

TEST(Bytes, AnEmptySpanIsAllZero) {
  EXPECT_TRUE(all_zero({}));
}

}  // namespace
}  // namespace blockpull
