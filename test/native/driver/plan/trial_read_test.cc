// SPDX-License-Identifier: Apache-2.0
//
// What a trial read finds in a layer that consists of a table and a file in memory with unreadable
// bytes. test/pull covers damaged compressed clusters, in real images.

#include "driver/plan/trial_read.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "core/base/text.h"
#include "driver/plan/pull_survey.h"
#include "driver/table_image.h"
#include "faults/memory_file.h"
#include "files/sample_chain.h"
#include "files/temp_folder.h"

namespace blockpull::driver {
namespace {

using image::Extent;
using image::Status;

constexpr std::uint64_t kCluster = 65536;
constexpr std::uint64_t kClusters = 64;

class TrialRead : public testing::Test {
 protected:
  void SetUp() override {
    image::CreateOptions options;
    options.path = folder_ / "top";
    options.size = kClusters * kCluster;
    files::create_qcow2(options);
    target_.chain = files::open_sample(folder_ / "top");
    auto layer = std::make_unique<TableImage>(kClusters * kCluster, kCluster);
    auto file =
        std::make_unique<faults::MemoryFile>(std::vector<std::byte>(2 * kClusters * kCluster));
    layer_ = layer.get();
    file_ = file.get();
    layer->set_file(std::move(file));
    target_.chain.layers.push_back({"layer", nullptr, std::move(layer)});
    target_.base = 2;
    target_.has_work = true;
  }

  /// Puts guest clusters from `first` on into the file, from host cluster `host` on.
  void set_data(std::uint64_t first, std::uint64_t count, std::uint64_t host) {
    layer_->set(first * kCluster, {Status::kData, count * kCluster, {host * kCluster}, 0, 0});
  }

  /// Measures what a pull would move, then reads it.
  [[nodiscard]] std::vector<Error> trial() {
    const auto totals = survey(target_, watch_);
    EXPECT_TRUE(totals.ok());
    bytes_to_move_ = totals->bytes_to_move;
    auto found = read_trial(target_, bytes_to_move_, watch_);
    EXPECT_TRUE(found.ok());
    return std::move(found).value();
  }

  const files::TempFolder folder_;
  const WalkWatch watch_{[] { return true; }};
  PullTarget target_;
  TableImage* layer_ = nullptr;
  faults::MemoryFile* file_ = nullptr;
  std::uint64_t bytes_to_move_ = 0;
};

TEST_F(TrialRead, ReadsEverythingThatWouldBeMoved) {
  set_data(1, 40, 0);
  layer_->set(50 * kCluster, {Status::kCompressed, kCluster, {80 * kCluster + 100}, 5000, 0});
  EXPECT_TRUE(trial().empty());
  EXPECT_EQ(bytes_to_move_, 41 * kCluster);
  EXPECT_EQ(watch_.progress()->phase, WalkPhase::kData);
  EXPECT_EQ(watch_.progress()->done_bytes, bytes_to_move_);
  EXPECT_EQ(watch_.progress()->total_bytes, bytes_to_move_);
}

TEST_F(TrialRead, ReportsEachUnreadableClusterSeparately) {
  set_data(4, 40, 10);
  for (const std::uint64_t host : {12, 13, 30}) {
    file_->break_at(host * kCluster + 4096);
    file_->break_at(host * kCluster + 9000);
  }
  const auto found = trial();
  ASSERT_EQ(found.size(), 3U);
  const std::vector<std::uint64_t> hosts{12, 13, 30};
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].kind, ErrorKind::kIo);
    EXPECT_EQ(found[i].error_number, EIO);
    EXPECT_EQ(found[i].message, "read of 'memory.qcow2' failed: Input/output error");
    EXPECT_EQ(found[i].offset, hosts[i] * kCluster);
    EXPECT_EQ(found[i].hint, text("it lies at offset ", hosts[i] * kCluster,
                                  " of that file; what a guest reads from offset ",
                                  (hosts[i] - 6) * kCluster, " on needs it"));
  }
  EXPECT_EQ(watch_.progress()->done_bytes, bytes_to_move_);
}

TEST_F(TrialRead, ReportsACompressedClusterOnce) {
  const Extent compressed{Status::kCompressed, kCluster, {90 * kCluster}, 5000, 0};
  layer_->set(2 * kCluster, compressed);
  layer_->set(60 * kCluster, compressed);
  file_->break_at(90 * kCluster + 4999);
  const auto found = trial();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].kind, ErrorKind::kIo);
  EXPECT_EQ(found[0].offset, 90 * kCluster);
  EXPECT_EQ(found[0].hint,
            text("it lies at offset ", 90 * kCluster,
                 " of that file; what a guest reads from offset ", 2 * kCluster, " on needs it"));
}

TEST_F(TrialRead, StopsAfterTheLastReportedCluster) {
  for (std::uint64_t cluster = 0; cluster < kClusters; cluster += 2) {
    set_data(cluster, 1, cluster);
    file_->break_at(cluster * kCluster);
  }
  EXPECT_EQ(trial().size(), kMostDamaged);
  // Each once, and then again by itself.
  EXPECT_EQ(file_->reads(), 2 * kMostDamaged);
  EXPECT_LT(watch_.progress()->done_bytes, bytes_to_move_);
}

TEST_F(TrialRead, SkipsTheActiveImagesDataAndZeros) {
  layer_->set(0, {Status::kZero, 32 * kCluster, {}, 0, 0});
  set_data(40, 1, 0);
  file_->break_at(5 * kCluster);
  EXPECT_TRUE(trial().empty());
  EXPECT_EQ(file_->reads(), 1U);
}

TEST_F(TrialRead, ReportsOnlyTheChangeOfAChangedLayer) {
  folder_.write("base", std::string(4 * kCluster, 'b'));
  files::create_overlay(folder_ / "over", 4 * kCluster, "base", image::Format::kRaw);
  PullTarget target;
  target.chain = files::open_sample(folder_ / "over");
  target.base = 2;
  target.layer_watch = LayerWatch(target.chain, target.base);
  EXPECT_TRUE(read_trial(target, 4 * kCluster, watch_)->empty());
  folder_.write("base", std::string(3 * kCluster, 'c'));
  const auto found = read_trial(target, 4 * kCluster, watch_);
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().kind, ErrorKind::kLocked);
  EXPECT_NE(found->front().message.find("was changed while it was read"), std::string::npos);
}

TEST_F(TrialRead, StopsWhenNobodyWantsTheResult) {
  set_data(0, kClusters, 0);
  int asked = 0;
  const auto found = read_trial(target_, kClusters * kCluster, [&asked] { return ++asked < 4; });
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().kind, ErrorKind::kCancelled);
  EXPECT_EQ(asked, 4);
  EXPECT_EQ(file_->reads(), 1U);
  EXPECT_EQ(survey(target_, [] { return false; }).error().kind, ErrorKind::kCancelled);
}

}  // namespace
}  // namespace blockpull::driver
