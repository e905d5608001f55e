// SPDX-License-Identifier: Apache-2.0
//
// Which owners may share a host cluster, and where marks are found again.

#include "core/image/qcow2/references.h"

#include <gtest/gtest.h>

namespace blockpull::image::qcow2 {
namespace {

using Sharing = ReferenceMap::Sharing;

TEST(ReferenceMap, CompressedClustersShareWithEachOther) {
  ReferenceMap map;
  EXPECT_TRUE(map.mark({5, 2}, Sharing::kShared, "a").ok());
  EXPECT_TRUE(map.mark({6, 1}, Sharing::kShared, "b").ok());
  EXPECT_EQ(map.end(), 7U);
  EXPECT_EQ(map.count(4), 0U);
  EXPECT_EQ(map.count(5), 1U);
  EXPECT_EQ(map.count(6), 2U);
}

TEST(ReferenceMap, AnOwnedClusterCountsOnceBesideSharedOnes) {
  ReferenceMap map;
  ASSERT_TRUE(map.mark({5, 1}, Sharing::kShared, "a").ok());
  ASSERT_TRUE(map.mark({6, 1}, Sharing::kExclusive, "b").ok());
  ASSERT_TRUE(map.try_mark(7));
  EXPECT_EQ(map.count(6), 1U);
  EXPECT_EQ(map.count(7), 1U);
}

TEST(ReferenceMap, AnOwnerSharesWithNobodyWhicheverComesFirst) {
  for (const Sharing first : {Sharing::kExclusive, Sharing::kShared}) {
    for (const Sharing second : {Sharing::kExclusive, Sharing::kShared}) {
      ReferenceMap map;
      ASSERT_TRUE(map.mark({40000, 3}, first, "the first").ok());
      const auto marked = map.mark({40002, 2}, second, "the second");
      const bool may_share = first == Sharing::kShared && second == Sharing::kShared;
      ASSERT_EQ(marked.ok(), may_share);
      if (!may_share) {
        EXPECT_EQ(marked.error().kind, ErrorKind::kImageCorrupt);
        EXPECT_EQ(marked.error().message,
                  "the second lies in host cluster 40002, which is already in use");
      }
    }
  }
}

TEST(ReferenceMap, AddCountsWhoeverHasTheClusterAndBeyond16Bits) {
  ReferenceMap map;
  ASSERT_TRUE(map.try_mark(0) || map.mark({0, 1}, Sharing::kExclusive, "a").ok());
  ASSERT_TRUE(map.add(0, 1, "a").ok());
  ASSERT_TRUE(map.add(1, 1, "a").ok());
  ASSERT_TRUE(map.add(2, 65535, "a").ok());
  EXPECT_EQ(map.count(0), 2U);
  EXPECT_EQ(map.count(1), 1U);
  EXPECT_EQ(map.count(2), 65535U);
  ASSERT_TRUE(map.add(2, 100'000, "a").ok());
  ASSERT_TRUE(map.add(2, 1, "a").ok());
  EXPECT_EQ(map.count(2), 165'536U);
}

TEST(ReferenceMap, AReferenceFarOutIsFoundWithoutAWalkThere) {
  ReferenceMap map;
  const std::uint64_t far = std::uint64_t{1} << 52U;
  ASSERT_TRUE(map.add(far, 1, "a").ok());
  ASSERT_TRUE(map.add(far - 100'000'000, 1, "a").ok());
  EXPECT_EQ(map.first_in({5, far}), far - 100'000'000);
  EXPECT_EQ(map.first_in({far - 99'999'999, 200'000'000}), far);
  EXPECT_EQ(map.first_in({far + 1, 200'000'000}), std::nullopt);
}

TEST(ReferenceMap, MarksAreFoundFarApart) {
  ReferenceMap map;
  ASSERT_TRUE(map.mark({3, 1}, Sharing::kExclusive, "a").ok());
  ASSERT_TRUE(map.mark({1'000'000, 2}, Sharing::kShared, "b").ok());
  EXPECT_EQ(map.first_in({0, 100}), 3U);
  EXPECT_EQ(map.first_in({4, 2'000'000}), 1'000'000U);
  EXPECT_EQ(map.first_in({4, 100}), std::nullopt);
  EXPECT_EQ(map.first_in({1'000'002, 10}), std::nullopt);
  EXPECT_TRUE(map.has(1'000'001));
  EXPECT_FALSE(map.has(1'000'002));
}

TEST(ReferenceMap, MarksThatWouldTakeTooMuchMemoryAreRefused) {
  ReferenceMap map;
  Result<void> marked;
  for (std::uint64_t chunk = 0; chunk < 20000 && marked.ok(); ++chunk) {
    marked = map.mark({chunk << 20U, 1}, Sharing::kExclusive, "a table");
  }
  ASSERT_FALSE(marked.ok());
  EXPECT_EQ(marked.error().kind, ErrorKind::kFeatureUnsupported);
}

TEST(ReferenceMap, CountsThatWouldTakeTooMuchMemoryAreRefused) {
  ReferenceMap map;
  Result<void> marked;
  std::uint64_t chunk = 0;
  for (; chunk < 20000 && marked.ok(); ++chunk) {
    marked = map.mark({chunk << 20U, 1}, Sharing::kShared, "a compressed cluster");
  }
  EXPECT_GT(chunk, 10000U);  // 20 TiB of 64 KiB clusters with a compressed one here and there
  ASSERT_FALSE(marked.ok());
  EXPECT_EQ(marked.error().kind, ErrorKind::kFeatureUnsupported);
}

}  // namespace
}  // namespace blockpull::image::qcow2
