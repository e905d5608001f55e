// SPDX-License-Identifier: Apache-2.0
//
// Planning as a function over tables: chains that consist only of tables, the plan of each as text,
// and for random chains whether the guest reads the same afterwards.

#include "driver/plan/pull_planner.h"

#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>

#include <gtest/gtest.h>

#include "core/base/checked.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "driver/table_image.h"
#include "files/test_seed.h"

namespace blockpull::driver {
namespace {

using image::Extent;
using image::Status;
using limits::kKiB;
using limits::kMiB;

constexpr std::uint64_t kCluster = 64 * kKiB;

/// Layers in the order in which they are added, the active one first.
class Tables {
 public:
  TableImage& add(std::uint64_t virtual_size, std::uint64_t cluster_size = kCluster) {
    auto image = std::make_unique<TableImage>(virtual_size, cluster_size);
    TableImage& added = *image;
    chain_.layers.push_back({text("layer", chain_.layers.size()), nullptr, std::move(image)});
    return added;
  }

  [[nodiscard]] const image::Chain& chain() const { return chain_; }
  [[nodiscard]] const TableImage& layer(std::size_t index) const {
    return static_cast<const TableImage&>(*chain_.layers[index].image);
  }

 private:
  image::Chain chain_;
};

Extent data(std::uint64_t host_cluster, std::uint64_t clusters) {
  return {Status::kData, clusters * kCluster, {host_cluster * kCluster}, 0, 0};
}

Extent zeros(std::uint64_t clusters) {
  return {Status::kZero, clusters * kCluster, {}, 0, 0};
}

std::string describe(const Segment& segment) {
  if (segment.status == Status::kZero) {
    return text(" zero+", segment.length / kKiB, "K");
  }
  const std::string where = text(" ", segment.layer, "@", segment.host.value / kKiB, "K");
  return segment.status == Status::kData
             ? text(where, "+", segment.length / kKiB, "K")
             : text(where, " from ", segment.offset_in_cluster / kKiB, "K+", segment.length / kKiB,
                    "K staged ", segment.staging_offset, segment.shares_staging ? " shared" : "");
}

std::string describe(const PlanStep& step) {
  std::string out;
  for (const GuestRun& run : step.piece.runs) {
    out += text("copy ", run.first_cluster, "+", run.count, " ");
  }
  for (const Segment& segment : step.piece.segments) {
    out += describe(segment);
  }
  if (step.zeros.count > 0) {
    out += text(" zeros ", step.zeros.first_cluster, "+", step.zeros.count);
  }
  return step.settled > 0 ? text(out, " settled ", step.settled / kKiB, "K") : out;
}

/// The whole plan, a line for each step.
std::vector<std::string> plan(const Tables& tables, std::size_t base, bool zero_clusters = true,
                              std::uint64_t most_bytes = kMiB) {
  PullPlanner planner(tables.chain(), base, zero_clusters, nullptr);
  std::vector<std::string> lines;
  for (bool at_end = false; !at_end;) {
    const auto step = planner.next(most_bytes);
    if (!step.ok()) {
      lines.push_back(step.error().message);
      break;
    }
    lines.push_back(describe(*step));
    at_end = step->at_end;
  }
  return lines;
}

using Lines = std::vector<std::string>;

TEST(PullPlanner, ActiveAndUnallocatedClustersNeedNoWork) {
  Tables tables;
  tables.add(8 * kCluster).set(0, data(5, 3));
  tables.add(8 * kCluster).set(kCluster, data(9, 1));
  EXPECT_EQ(plan(tables, 2), Lines{" settled 512K"});
}

TEST(PullPlanner, RunsOfOneLayerAreOneSegmentAndGapsAreLeftOut) {
  Tables tables;
  tables.add(16 * kCluster).set(4 * kCluster, data(5, 1));
  TableImage& lower = tables.add(16 * kCluster);
  lower.set(2 * kCluster, data(10, 4));
  lower.set(9 * kCluster, data(20, 2));
  EXPECT_EQ(plan(tables, 2),
            (Lines{"copy 2+2 copy 5+1 copy 9+2  1@640K+128K 1@832K+64K 1@1280K+128K settled "
                   "704K"}));
}

TEST(PullPlanner, CopiesAClusterFromTheUppermostLayer) {
  Tables tables;
  tables.add(4 * kCluster);
  tables.add(4 * kCluster).set(kCluster, data(7, 2));
  tables.add(4 * kCluster).set(0, data(20, 4));
  EXPECT_EQ(plan(tables, 3), (Lines{"copy 0+4  2@1280K+64K 1@448K+128K 2@1472K+64K"}));
}

TEST(PullPlanner, DataOnlyInTheBaseStaysThere) {
  Tables tables;
  tables.add(4 * kCluster);
  tables.add(4 * kCluster).set(kCluster, data(7, 1));
  tables.add(4 * kCluster).set(0, data(20, 4));
  EXPECT_EQ(plan(tables, 2), (Lines{"copy 1+1  1@448K+64K settled 192K"}));
}

TEST(PullPlanner, ZerosNeedAZeroClusterOnlyIfTheBaseWouldShow) {
  Tables tables;
  tables.add(6 * kCluster);
  tables.add(6 * kCluster).set(kCluster, zeros(4));
  tables.add(6 * kCluster).set(3 * kCluster, data(20, 1));
  EXPECT_EQ(plan(tables, 3), Lines{" settled 384K"});
  EXPECT_EQ(plan(tables, 2), (Lines{" zeros 3+1 settled 192K", " settled 128K"}));
  EXPECT_EQ(plan(tables, 2, false), (Lines{"copy 3+1  zero+64K settled 320K"}));
}

TEST(PullPlanner, APieceIsCappedAndHasOneClusterAtLeast) {
  Tables tables;
  tables.add(5 * kCluster);
  tables.add(5 * kCluster).set(0, data(10, 5));
  EXPECT_EQ(plan(tables, 2, true, 2 * kCluster),
            (Lines{"copy 0+2  1@640K+128K", "copy 2+2  1@768K+128K", "copy 4+1  1@896K+64K"}));
  EXPECT_EQ(plan(tables, 2, true, 1).size(), 5U);
  EXPECT_EQ(plan(tables, 2, true, 3 * kCluster - 1).size(), 3U);
}

TEST(PullPlanner, TheLastClusterIsFilledUpBehindTheEndOfTheDisk) {
  Tables tables;
  tables.add(kCluster + 24 * kKiB);
  tables.add(kCluster + 24 * kKiB).set(0, data(10, 2));
  PullPlanner planner(tables.chain(), 2, true, nullptr);
  const auto step = planner.next(kMiB);
  ASSERT_TRUE(step.ok());
  EXPECT_EQ(describe(*step), "copy 0+2  1@640K+88K zero+40K");
  EXPECT_EQ(step->piece.clusters, 2U);
  EXPECT_EQ(step->piece.guest_bytes, kCluster + 24 * kKiB);
  EXPECT_TRUE(step->at_end);
}

TEST(PullPlanner, PastAShortLayerAreZerosNotTheBase) {
  Tables tables;
  tables.add(4 * kCluster);
  tables.add(kCluster + 32 * kKiB).set(0, data(10, 2));
  tables.add(4 * kCluster).set(0, data(20, 4));
  EXPECT_EQ(plan(tables, 2), Lines{"copy 0+2  1@640K+96K zero+32K zeros 2+2"});
}

TEST(PullPlanner, AClusterOfSmallerOnesIsAlsoGatheredFromTheBase) {
  Tables tables;
  tables.add(2 * kCluster);
  tables.add(2 * kCluster, 16 * kKiB)
      .set(16 * kKiB, {Status::kData, 16 * kKiB, {512 * kKiB}, 0, 0});
  tables.add(2 * kCluster, 16 * kKiB).set(0, data(20, 2));
  EXPECT_EQ(plan(tables, 2), (Lines{"copy 0+1  2@1280K+16K 1@512K+16K 2@1312K+32K settled 64K"}));
}

TEST(PullPlanner, TheBaseDecidesAboutAPartlyZeroCluster) {
  Tables tables;
  tables.add(3 * kCluster);
  TableImage& merged = tables.add(3 * kCluster, 16 * kKiB);
  TableImage& base = tables.add(3 * kCluster, 16 * kKiB);
  for (std::uint64_t cluster = 0; cluster < 3; ++cluster) {
    merged.set(cluster * kCluster, {Status::kZero, 16 * kKiB, {}, 0, 0});
  }
  // Behind the merged zeros in cluster 1, under them in cluster 2, nothing in cluster 0.
  base.set(kCluster, {Status::kData, 32 * kKiB, {512 * kKiB}, 0, 0});
  base.set(2 * kCluster, {Status::kData, 16 * kKiB, {512 * kKiB}, 0, 0});
  EXPECT_EQ(plan(tables, 2), (Lines{"copy 1+1  zero+16K 2@528K+16K zero+32K zeros 2+1 settled "
                                    "64K"}));
}

TEST(PullPlanner, NeighbouringCompressedClustersAreNotOneSegment) {
  Tables tables;
  tables.add(2 * kCluster);
  TableImage& lower = tables.add(2 * kCluster);
  lower.set(0, {Status::kCompressed, kCluster, {512 * kKiB}, 3000, 0});
  lower.set(kCluster, {Status::kCompressed, kCluster, {576 * kKiB}, 3000, 0});
  EXPECT_EQ(plan(tables, 2), (Lines{"copy 0+2  1@512K from 0K+64K staged 0 1@576K from 0K+64K "
                                    "staged 3000"}));
}

TEST(PullPlanner, PartsOfOneCompressedClusterAreReadOnce) {
  Tables tables;
  tables.add(2 * kCluster);
  TableImage& lower = tables.add(2 * kCluster, 2 * kCluster);
  lower.set(0, {Status::kCompressed, 2 * kCluster, {512 * kKiB}, 3000, 0});
  lower.set(16 * kKiB, {Status::kData, 4 * kKiB, {64 * kKiB}, 0, 0});
  const auto lines = plan(tables, 2);
  EXPECT_EQ(lines, (Lines{"copy 0+2  1@512K from 0K+16K staged 0 1@64K+4K 1@512K from 20K+44K "
                          "staged 0 shared 1@512K from 64K+64K staged 0 shared"}));
  PullPlanner planner(tables.chain(), 2, true, nullptr);
  EXPECT_EQ(planner.next(kMiB)->piece.staging_bytes, 3000U);
}

/// A random chain, and what its guest reads.
class RandomChain {
 public:
  explicit RandomChain(std::uint64_t seed) : random_(seed) {
    const std::size_t depth = 2 + below(4);
    for (std::size_t i = 0; i < depth; ++i) {
      const std::uint64_t cluster = i == 0 ? kActiveCluster : std::uint64_t{1} << (9 + below(6));
      fill(tables_.add((1 + below(512)) * kSector, cluster), cluster);
    }
    base_ = 2 + below(depth - 1);
    zero_clusters_ = below(2) == 0;
  }

  static constexpr std::uint64_t kSector = TableImage::kSector;
  static constexpr std::uint64_t kActiveCluster = 4096;

  /// Executes the plan step by step, with text() for what each sector becomes.
  void pull() {
    PullPlanner planner(tables_.chain(), base_, zero_clusters_, nullptr);
    std::uint64_t accounted = 0;
    const std::uint64_t most = 1 + below(32 * kKiB);
    for (bool at_end = false; !at_end;) {
      const auto step = planner.next(most);
      ASSERT_TRUE(step.ok()) << step.error().message;
      ASSERT_LE(step->piece.clusters * kActiveCluster,
                std::max(round_down(most, kActiveCluster), kActiveCluster));
      ASSERT_TRUE(zero_clusters_ || step->zeros.count == 0);
      copy(step->piece);
      accounted += step->settled + step->piece.guest_bytes + zero(step->zeros);
      at_end = step->at_end;
    }
    EXPECT_EQ(accounted, size());
  }

  void expect_same() const {
    for (std::uint64_t sector = 0; sector < size() / kSector; ++sector) {
      const auto now = pulled_.find(sector);
      const std::string after = now != pulled_.end()         ? now->second
                                : active(sector) != kNothing ? active(sector)
                                                             : content(base_, sector);
      ASSERT_EQ(after, content(0, sector)) << "sector " << sector << ", base " << base_;
      ASSERT_TRUE(now == pulled_.end() || active(sector) == kNothing) << "copied in vain";
    }
  }

 private:
  static constexpr const char* kNothing = "nothing";

  std::uint64_t below(std::uint64_t end) { return random_() % end; }
  [[nodiscard]] std::uint64_t size() const { return tables_.layer(0).virtual_size(); }

  void fill(TableImage& image, std::uint64_t cluster) {
    for (std::uint64_t at = 0; at < image.virtual_size();) {
      const bool is_part = below(8) == 0 && &image != &tables_.layer(0);
      const std::uint64_t length = is_part ? kSector : cluster * (1 + below(4));
      const auto status = static_cast<Status>(below(4));
      const std::uint64_t host = (1 + below(100)) * kMiB;
      if (status == Status::kCompressed) {
        image.set(at, {status, is_part ? kSector : cluster, {host}, 1 + below(cluster), 0});
      } else {
        image.set(at, {status, length, {host}, 0, 0});
      }
      at += length;
    }
  }

  static std::string name(const Extent& extent, std::size_t layer) {
    switch (extent.status) {
      case Status::kUnallocated:
        return kNothing;
      case Status::kZero:
        return "zero";
      case Status::kData:
      case Status::kCompressed:
        break;
    }
    return text(layer, "@", extent.host.value, " ", extent.offset_in_cluster);
  }

  [[nodiscard]] std::string active(std::uint64_t sector) const {
    return name(tables_.layer(0).sector(sector), 0);
  }

  /// The content of a sector through the layers from `first` on.
  [[nodiscard]] std::string content(std::size_t first, std::uint64_t sector) const {
    for (std::size_t layer = first; layer < tables_.chain().layers.size(); ++layer) {
      if (sector * kSector >= tables_.layer(layer).virtual_size()) {
        return "zero";
      }
      const std::string found = name(tables_.layer(layer).sector(sector), layer);
      if (found != kNothing) {
        return found;
      }
    }
    return "zero";
  }

  void copy(const Piece& piece) {
    std::vector<std::string> buffer;
    std::map<std::tuple<std::size_t, std::uint64_t, std::uint64_t>, std::uint64_t> staged;
    std::uint64_t staging = 0;
    for (const Segment& segment : piece.segments) {
      ASSERT_EQ(segment.buffer_offset, buffer.size() * kSector) << "segments must tile the buffer";
      ASSERT_GT(segment.length, 0U);
      for (std::uint64_t at = 0; at < segment.length; at += kSector) {
        const bool is_data = segment.status == Status::kData;
        const Extent sector{segment.status,
                            kSector,
                            {segment.host.value + (is_data ? at : 0)},
                            0,
                            is_data ? 0 : segment.offset_in_cluster + at};
        buffer.push_back(name(sector, segment.layer));
      }
      if (segment.status == Status::kCompressed) {
        const auto [known, is_new] = staged.try_emplace(
            {segment.layer, segment.host.value, segment.compressed_length}, staging);
        ASSERT_EQ(segment.shares_staging, !is_new);
        ASSERT_EQ(segment.staging_offset, known->second);
        staging += is_new ? segment.compressed_length : 0;
      }
    }
    ASSERT_EQ(staging, piece.staging_bytes);
    ASSERT_EQ(buffer.size() * kSector, piece.clusters * kActiveCluster);
    place(piece, buffer);
  }

  void place(const Piece& piece, const std::vector<std::string>& buffer) {
    std::size_t at = 0;
    for (const GuestRun& run : piece.runs) {
      const std::uint64_t first = run.first_cluster * (kActiveCluster / kSector);
      const std::uint64_t end = first + run.count * (kActiveCluster / kSector);
      for (std::uint64_t sector = first; sector < end; ++sector) {
        ASSERT_LT(at, buffer.size());
        ASSERT_TRUE(pulled_.emplace(sector, buffer[at++]).second) << "copied twice";
      }
    }
    ASSERT_EQ(at, buffer.size());
  }

  std::uint64_t zero(const GuestRun& run) {
    const std::uint64_t begin = run.first_cluster * kActiveCluster;
    const std::uint64_t end = std::min(begin + run.count * kActiveCluster, size());
    for (std::uint64_t at = begin; at < end; at += kSector) {
      EXPECT_TRUE(pulled_.emplace(at / kSector, "zero").second) << "zeroed twice";
    }
    return run.count == 0 ? 0 : end - begin;
  }

  std::mt19937_64 random_;
  Tables tables_;
  std::size_t base_ = 0;
  bool zero_clusters_ = false;
  std::map<std::uint64_t, std::string> pulled_;
};

TEST(PullPlanner, TheGuestReadsTheSameAfterAnyPlan) {
  for (std::uint64_t round = 0; round < 500; ++round) {
    SCOPED_TRACE(text("round ", round));
    RandomChain chain(test_seed() + round);
    chain.pull();
    chain.expect_same();
    if (testing::Test::HasFailure()) {
      return;
    }
  }
}

}  // namespace
}  // namespace blockpull::driver
