// SPDX-License-Identifier: Apache-2.0
//
// What is reported of a chain: sizes, how much each layer has, and which process uses it.

#include "core/image/inspect.h"

#include <unistd.h>

#include <gtest/gtest.h>

#include "core/base/text.h"
#include "core/io/lock.h"
#include "files/sample_chain.h"
#include "files/temp_folder.h"

namespace blockpull::image {
namespace {

constexpr std::uint64_t kCluster = 65536;

class Inspect : public testing::Test {
 protected:
  void SetUp() override {
    folder_.write("base.raw", std::string(4 * kCluster, 'b'));
    files::create_overlay(folder_ / "top", 6 * kCluster, "base.raw", Format::kRaw);
    files::write_cluster(folder_ / "top", 1, 't');
    files::set_l2_entry(folder_ / "top", 2, image::qcow2::kZero);
  }

  const files::TempFolder folder_;
};

TEST_F(Inspect, EveryLayerIsDescribed) {
  const auto layers = inspect_chain(folder_ / "top", {}, [] { return true; });
  ASSERT_TRUE(layers.ok());
  ASSERT_EQ(layers->size(), 2U);
  const LayerInfo& top = (*layers)[0];
  EXPECT_EQ(top.path, folder_ / "top");
  EXPECT_EQ(top.format, Format::kQcow2);
  EXPECT_EQ(top.virtual_size, 6 * kCluster);
  EXPECT_EQ(top.cluster_size, kCluster);
  EXPECT_EQ(top.file_size, files::content_of(folder_ / "top").size());
  EXPECT_GT(top.allocated_bytes, 0U);
  EXPECT_EQ(top.backing->name, "base.raw");
  EXPECT_EQ(top.backing->format, "raw");
  EXPECT_EQ(top.in_use_by, "");
  const LayerInfo& base = (*layers)[1];
  EXPECT_EQ(base.format, Format::kRaw);
  EXPECT_EQ(base.cluster_size, 0U);
  EXPECT_EQ(base.file_size, 4 * kCluster);
  EXPECT_FALSE(base.backing.has_value());
}

TEST_F(Inspect, CountsTheBytesOfEachLayer) {
  const auto layers = inspect_chain(folder_ / "top", {}, [] { return true; });
  ASSERT_TRUE(layers.ok());
  EXPECT_EQ((*layers)[0].data_bytes, kCluster);
  EXPECT_EQ((*layers)[0].visible_bytes, 2 * kCluster);
  EXPECT_EQ((*layers)[1].data_bytes, 4 * kCluster);
  EXPECT_EQ((*layers)[1].visible_bytes, 2 * kCluster);
}

TEST_F(Inspect, ReportsTheWriterOfALayerAndRefusesNothing) {
  const auto file = io::PosixFile::open(folder_ / "top", io::Access::kReadWrite);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(io::lock_image(**file, io::LockRole::kWriter).ok());
  ChainOptions options;
  options.lock_for_pull = true;
  const auto layers = inspect_chain(folder_ / "top", options, [] { return true; });
  ASSERT_TRUE(layers.ok());
  EXPECT_EQ((*layers)[0].in_use_by, text("this process (pid ", ::getpid(), ")"));
  EXPECT_EQ((*layers)[1].in_use_by, "");
}

TEST_F(Inspect, WalksAllLayersTogether) {
  const WalkWatch watch([] { return true; });
  ASSERT_TRUE(inspect_chain(folder_ / "top", {}, watch).ok());
  const auto progress = watch.progress();
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->phase, WalkPhase::kTables);
  EXPECT_EQ(progress->total_bytes, 6 * kCluster);
  EXPECT_EQ(progress->done_bytes, progress->total_bytes);
}

TEST_F(Inspect, StopsWhenNobodyWantsTheResult) {
  int asked = 0;
  const auto layers = inspect_chain(folder_ / "top", {}, [&asked] { return ++asked < 2; });
  ASSERT_FALSE(layers.ok());
  EXPECT_EQ(layers.error().kind, ErrorKind::kCancelled);
  EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace blockpull::image
