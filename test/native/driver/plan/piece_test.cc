// SPDX-License-Identifier: Apache-2.0
//
// Where a piece is cut: inside a segment, between two, and between two runs of clusters.

#include "driver/plan/piece.h"

#include <gtest/gtest.h>

namespace blockpull::driver {
namespace {

using image::Status;

constexpr std::uint64_t kCluster = 8192;

/// Clusters 7, 8 and 30, the last of them the short end of the disk.
Piece three_clusters() {
  Piece piece;
  piece.runs = {{7, 2}, {30, 1}};
  piece.segments = {
      {.status = Status::kData, .layer = 1, .host = {65536}, .length = 12288},
      {.status = Status::kZero, .buffer_offset = 12288, .length = 4096},
      {.status = Status::kData, .layer = 2, .host = {1024}, .buffer_offset = 16384, .length = 512},
      {.status = Status::kZero, .buffer_offset = 16896, .length = 7680}};
  piece.clusters = 3;
  piece.guest_bytes = 2 * kCluster + 512;
  return piece;
}

TEST(Piece, ACutInsideASegmentContinuesBothParts) {
  Piece piece = three_clusters();
  const auto front = take_front(piece.segments, 4096);
  ASSERT_EQ(front.size(), 1U);
  EXPECT_EQ(front[0].host.value, 65536U);
  EXPECT_EQ(front[0].buffer_offset, 0U);
  EXPECT_EQ(front[0].length, 4096U);
  ASSERT_EQ(piece.segments.size(), 4U);
  EXPECT_EQ(piece.segments[0].host.value, 65536U + 4096);
  EXPECT_EQ(piece.segments[0].buffer_offset, 0U);
  EXPECT_EQ(piece.segments[0].length, 8192U);
  EXPECT_EQ(piece.segments[2].host.value, 1024U);
  EXPECT_EQ(piece.segments[2].buffer_offset, 16384U - 4096);
  EXPECT_EQ(piece.buffer_bytes(), 3 * kCluster - 4096);
}

TEST(Piece, IsCutBetweenSegmentsAndToTheEnd) {
  Piece piece = three_clusters();
  EXPECT_EQ(take_front(piece.segments, 12288).size(), 1U);
  EXPECT_EQ(piece.segments.size(), 3U);
  EXPECT_EQ(take_front(piece.segments, 4096).size(), 1U);
  EXPECT_EQ(take_front(piece.segments, kCluster).size(), 2U);
  EXPECT_TRUE(piece.segments.empty());
  EXPECT_EQ(piece.buffer_bytes(), 0U);
}

TEST(Piece, CutClustersKeepTheirRunsAndGuestBytes) {
  Piece piece = three_clusters();
  const Piece first = take_clusters(piece, 1, kCluster);
  ASSERT_EQ(first.runs.size(), 1U);
  EXPECT_EQ(first.runs[0].first_cluster, 7U);
  EXPECT_EQ(first.runs[0].count, 1U);
  EXPECT_EQ(first.clusters, 1U);
  EXPECT_EQ(first.guest_bytes, kCluster);
  EXPECT_EQ(first.buffer_bytes(), kCluster);
  const Piece second = take_clusters(piece, 1, kCluster);
  EXPECT_EQ(second.runs[0].first_cluster, 8U);
  EXPECT_EQ(second.segments.size(), 2U);
  ASSERT_EQ(piece.runs.size(), 1U);
  EXPECT_EQ(piece.runs[0].first_cluster, 30U);
  EXPECT_EQ(piece.clusters, 1U);
  EXPECT_EQ(piece.guest_bytes, 512U);
  EXPECT_EQ(piece.buffer_bytes(), kCluster);
}

}  // namespace
}  // namespace blockpull::driver
