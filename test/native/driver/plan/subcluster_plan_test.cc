// SPDX-License-Identifier: Apache-2.0
//
// Which subclusters of one cluster become data or zeros, and in which host cluster. The chain is
// active ─▶ middle ─▶ base; the middle layer has clusters of 512 bytes, one for each subcluster.

#include "driver/plan/subcluster_plan.h"

#include <gtest/gtest.h>

#include "core/image/qcow2/subclusters.h"
#include "driver/plan/pull_planner.h"
#include "driver/pull_rig.h"
#include "faults/image_recipe.h"

namespace blockpull::driver {
namespace {

using faults::BackingFiles;
using faults::ImageRecipe;
using faults::SubclusterRecipe;
using image::Status;

constexpr std::uint64_t kSize = 16384;
constexpr std::uint64_t kPart = kSize / 32;

std::uint32_t mask(std::uint32_t first, std::uint32_t end) {
  return image::qcow2::subcluster_mask(first, end);
}

class SubclusterPlanTest : public testing::Test {
 protected:
  SubclusterPlanTest() {
    top_.has_extended_l2 = true;
    top_.cluster_bits = 14;
    top_.virtual_size = 2 * kSize;
    top_.backing_name = "middle";
    top_.backing_format = "qcow2";
    middle_.virtual_size = 2 * kSize;
    middle_.backing_name = "base";
    middle_.backing_format = "raw";
    base_.write(0, faults::pattern(1, kSize));
    base_.resize(2 * kSize);
  }

  void open() {
    backings_["middle"] = {faults::build_image(middle_), false};
    backings_["base"] = {base_, true};
    auto disk = std::make_shared<faults::RecordedDisk>(faults::build_image(top_));
    chain_ = open_recorded(disk, backings_).value();
  }

  /// `base`: 2 keeps the base, 3 nothing.
  SubclusterFill fill(std::size_t base, std::uint64_t cluster = 0) {
    image::ChainWalk walk(chain_);
    return SubclusterPlan(chain_, walk, base).at(cluster * kSize).value();
  }

  ImageRecipe top_;
  ImageRecipe middle_;
  faults::Content base_;
  BackingFiles backings_;
  image::Chain chain_;
};

TEST_F(SubclusterPlanTest, OnlyWhatIsMissingIsFilled) {
  top_.subclusters = {{0, mask(0, 4), mask(4, 8), true}};
  middle_.data_clusters = {2, 3, 4, 7, 8, 9};
  open();
  const SubclusterFill found = fill(2);
  EXPECT_EQ(found.data, mask(8, 10));
  EXPECT_EQ(found.zero, 0U);
  EXPECT_NE(found.host_cluster, 0U);
  EXPECT_EQ(fill(3).data, mask(8, 32)) << "without a base its bytes are needed as well";
}

TEST_F(SubclusterPlanTest, ZerosBecomeZeroBitsOnlyWhereTheyHideBytesOfABaseThatStays) {
  middle_.zero_clusters = {0, 1, 5, 32, 33};
  open();
  EXPECT_EQ(fill(2).zero, mask(0, 2) | mask(5, 6));
  EXPECT_EQ(fill(2).data, 0U);
  EXPECT_EQ(fill(2).host_cluster, 0U);
  EXPECT_EQ(fill(2, 1).zero, 0U) << "the base has a hole there";
  EXPECT_EQ(fill(3).zero, 0U);
}

TEST_F(SubclusterPlanTest, ASubclusterWithZerosAndBytesOfTheBaseIsData) {
  top_.cluster_bits = 15;
  middle_.zero_clusters = {0, 2, 3};
  open();
  const SubclusterFill found = fill(2);
  EXPECT_EQ(found.data, mask(0, 1)) << "half of it is zeros";
  EXPECT_EQ(found.zero, mask(1, 2));
}

TEST_F(SubclusterPlanTest, NothingIsMissingBehindTheEndOfTheDisk) {
  top_.virtual_size = kSize + 5 * kPart;
  base_.write(0, faults::pattern(1, 2 * kSize));
  open();
  EXPECT_EQ(fill(3, 1).data, mask(0, 5));
}

TEST_F(SubclusterPlanTest, ThePlanMovesOnlyTheseBytes) {
  top_.subclusters = {{0, mask(0, 30), 0, true}, {1, 0, mask(1, 32), false}};
  middle_.data_clusters = {30, 32};
  open();
  PullPlanner planner(chain_, 2, true, nullptr);
  const PlanStep step = planner.next(1U << 20U).value();
  ASSERT_EQ(step.piece.fills.size(), 2U);
  EXPECT_EQ(step.piece.fills[0].data, mask(30, 31));
  EXPECT_EQ(step.piece.fills[1].data, mask(0, 1));
  EXPECT_EQ(step.piece.buffer_bytes(), 2 * kSize);
  std::uint64_t moved = 0;
  for (const Segment& segment : step.piece.segments) {
    moved += segment.status == Status::kZero ? 0 : segment.length;
  }
  EXPECT_EQ(moved, 2 * kPart);
  EXPECT_TRUE(step.at_end);
}

}  // namespace
}  // namespace blockpull::driver
