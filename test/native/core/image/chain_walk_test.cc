// SPDX-License-Identifier: Apache-2.0
//
// Which layer has what in a chain of layers with different sizes and cluster sizes, and what the
// guest reads.

#include "core/image/chain_walk.h"

#include <gtest/gtest.h>

#include "core/base/text.h"
#include "files/sample_chain.h"
#include "files/temp_folder.h"

namespace blockpull::image {
namespace {

constexpr std::uint64_t kCluster = 65536;

class ChainWalkTest : public testing::Test {
 protected:
  /// base 16 clusters of 'b'; middle 8 clusters, cluster 2 data; top 12 clusters, cluster 4 data, 5
  /// zero.
  void SetUp() override {
    folder_.write("base.raw", std::string(16 * kCluster, 'b'));
    files::create_overlay(folder_ / "middle", 8 * kCluster, "base.raw", Format::kRaw);
    files::write_cluster(folder_ / "middle", 2, 'm');
    files::create_overlay(folder_ / "top", 12 * kCluster, "middle", Format::kQcow2);
    files::write_cluster(folder_ / "top", 4, 't');
    files::set_l2_entry(folder_ / "top", 5, qcow2::kZero);
  }

  [[nodiscard]] static Owner owner(const Chain& chain, std::size_t first, std::size_t last,
                                   std::uint64_t cluster, std::uint64_t clusters) {
    const auto answer =
        ChainWalk(chain).who_has(first, last, {cluster * kCluster}, clusters * kCluster);
    EXPECT_TRUE(answer.ok());
    return answer.ok() ? *answer : Owner{};
  }

  const files::TempFolder folder_;
};

TEST_F(ChainWalkTest, TheUppermostLayerWithTheRunOwnsIt) {
  const Chain chain = files::open_sample(folder_ / "top");
  const struct {
    std::uint64_t cluster;
    std::size_t layer;
    Status status;
    std::uint64_t count;
  } rows[] = {{0, 2, Status::kData, 2}, {2, 1, Status::kData, 1}, {3, 2, Status::kData, 1},
              {4, 0, Status::kData, 1}, {5, 0, Status::kZero, 1}, {6, 2, Status::kData, 2}};
  for (const auto& row : rows) {
    const Owner answer = owner(chain, 0, 3, row.cluster, 8 - row.cluster);
    EXPECT_EQ(answer.layer, row.layer) << row.cluster;
    EXPECT_EQ(answer.extent.status, row.status) << row.cluster;
    EXPECT_EQ(answer.extent.length, row.count * kCluster) << row.cluster;
  }
}

TEST_F(ChainWalkTest, PastAShortLayerReadsZerosNotTheLayerBelow) {
  const Chain chain = files::open_sample(folder_ / "top");
  const Owner answer = owner(chain, 0, 3, 8, 4);
  EXPECT_EQ(answer.layer, 1U);
  EXPECT_EQ(answer.extent.status, Status::kZero);
  EXPECT_EQ(answer.extent.length, 4 * kCluster);
}

TEST_F(ChainWalkTest, ARunEndsWhereALayerOnTheWayDoes) {
  const Chain chain = files::open_sample(folder_ / "top");
  EXPECT_EQ(owner(chain, 0, 3, 6, 6).extent.length, 2 * kCluster);
}

TEST_F(ChainWalkTest, NoLayerAnswersIfTheDataIsBelowTheRange) {
  const Chain chain = files::open_sample(folder_ / "top");
  const Owner answer = owner(chain, 0, 2, 0, 12);
  EXPECT_EQ(answer.layer, 2U);
  EXPECT_EQ(answer.extent.status, Status::kUnallocated);
  EXPECT_EQ(answer.extent.length, 2 * kCluster);
  EXPECT_EQ(owner(chain, 1, 1, 0, 12).layer, 1U);
  EXPECT_EQ(owner(chain, 1, 1, 0, 12).extent.length, 12 * kCluster);
}

TEST_F(ChainWalkTest, TheGuestReadsTheBytesOfTheOwningLayers) {
  const Chain chain = files::open_sample(folder_ / "top");
  std::vector<std::byte> bytes(12 * kCluster, std::byte{0xee});
  ASSERT_TRUE(ChainWalk(chain).read({0}, bytes).ok());
  for (std::size_t cluster = 0; cluster < 12; ++cluster) {
    const char value = cluster < 8 ? "bbmbt\0bb"[cluster] : '\0';
    EXPECT_EQ(bytes[cluster * kCluster], static_cast<std::byte>(value)) << cluster;
    EXPECT_EQ(bytes[(cluster + 1) * kCluster - 1], static_cast<std::byte>(value)) << cluster;
  }
  std::vector<std::byte> odd(kCluster);
  ASSERT_TRUE(ChainWalk(chain).read({2 * kCluster - 100}, odd).ok());
  EXPECT_EQ(odd[99], std::byte{'b'});
  EXPECT_EQ(odd[100], std::byte{'m'});
}

TEST_F(ChainWalkTest, ZerosEndWhereDataBegins) {
  const Chain chain = files::open_sample(folder_ / "top");
  EXPECT_EQ(*ChainWalk(chain).zeros_until({0}, 12 * kCluster), 0U);
  EXPECT_EQ(*ChainWalk(chain).zeros_until({5 * kCluster + 10}, 12 * kCluster), 6 * kCluster);
  EXPECT_EQ(*ChainWalk(chain).zeros_until({9 * kCluster}, 12 * kCluster), 12 * kCluster);
  EXPECT_EQ(*ChainWalk(chain).zeros_until({9 * kCluster}, 10 * kCluster), 10 * kCluster);
}

TEST_F(ChainWalkTest, ADeepChainOfEmptyLayersIsWalkedInLargeSteps) {
  std::string below = "top";
  for (int i = 0; i < 30; ++i) {
    const std::string name = text("layer", i);
    files::create_overlay(folder_ / name, 12 * kCluster, below, Format::kQcow2);
    below = name;
  }
  const Chain chain = files::open_sample(folder_ / below);
  ChainWalk walk(chain);
  std::uint64_t calls = 0;
  for (std::uint64_t offset = 0; offset < 12 * kCluster; ++calls) {
    const auto answer = walk.who_has(0, chain.layers.size(), {offset}, 12 * kCluster - offset);
    ASSERT_TRUE(answer.ok());
    offset += answer->extent.length;
  }
  EXPECT_EQ(calls, 7U);
}

TEST_F(ChainWalkTest, GoingBackGivesTheAnswersOfAFreshWalk) {
  const Chain chain = files::open_sample(folder_ / "top");
  ChainWalk walk(chain);
  for (const std::uint64_t cluster : {6U, 2U, 11U, 4U, 0U, 8U, 3U, 5U}) {
    const std::uint64_t offset = cluster * kCluster + 1000;
    const auto kept = walk.who_has(0, 3, {offset}, 12 * kCluster - offset);
    const auto fresh = ChainWalk(chain).who_has(0, 3, {offset}, 12 * kCluster - offset);
    ASSERT_TRUE(kept.ok() && fresh.ok());
    EXPECT_EQ(kept->layer, fresh->layer) << cluster;
    EXPECT_EQ(kept->extent.status, fresh->extent.status) << cluster;
    EXPECT_EQ(kept->extent.length, fresh->extent.length) << cluster;
    EXPECT_EQ(kept->extent.host, fresh->extent.host) << cluster;
  }
}

TEST_F(ChainWalkTest, DamageIsAnErrorAndNotZeros) {
  files::set_l2_entry(folder_ / "middle", 3, 0x42a00);
  const Chain chain = files::open_sample(folder_ / "top");
  std::vector<std::byte> bytes(8 * kCluster);
  const auto answer = ChainWalk(chain).read({0}, bytes);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().kind, ErrorKind::kImageCorrupt);
  EXPECT_EQ(answer.error().path, folder_ / "middle");
}

}  // namespace
}  // namespace blockpull::image
