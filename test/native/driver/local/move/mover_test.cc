// SPDX-License-Identifier: Apache-2.0
//
// Pieces in the mover, on a host that takes one step at a time in any order: where they end up,
// what becomes of zeros, and the effects of a limit, a stop and a failed read.

#include "driver/local/move/mover.h"

#include <random>

#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "driver/table_image.h"
#include "faults/inline_host.h"
#include "files/descriptor_file.h"
#include "files/test_seed.h"

namespace blockpull::driver {
namespace {

using image::Status;

constexpr std::uint64_t kCluster = 65536;
constexpr std::uint64_t kPieces = 12;

class MoverTest : public testing::Test {
 protected:
  /// Guest cluster i is cluster i of the lower layer, filled with i + 1; every third is zeros.
  MoverTest() : seed_(test_seed()) {
    std::vector<std::byte> content(kPieces * kCluster);
    for (std::uint64_t i = 0; i < kPieces; ++i) {
      std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(i * kCluster), kCluster,
                  i % 3 == 2 ? std::byte{0} : static_cast<std::byte>(i + 1));
    }
    for (int i = 0; i < 2; ++i) {
      auto layer = std::make_unique<TableImage>(kPieces * kCluster, kCluster);
      layers_[i] = layer.get();
      chain_.layers.push_back({"layer", nullptr, std::move(layer)});
    }
    layers_[1]->set_file(std::make_unique<faults::MemoryFile>(std::move(content)));
  }

  std::unique_ptr<Mover> mover(faults::InlineHost& host, ZeroPolicy zeros) {
    auto made = std::make_unique<Mover>(host, board_, chain_, zeros, [this] { changed_ = true; });
    for (std::uint64_t i = 0; i < kPieces; ++i) {
      Piece piece;
      piece.runs = {{i, 1}};
      piece.segments = {{Status::kData, 1, {i * kCluster}, 0, kCluster}};
      piece.clusters = 1;
      piece.guest_bytes = kCluster;
      made->enqueue(std::move(piece));
    }
    made->grant({100, kPieces});
    return made;
  }

  void step(Mover& mover, faults::InlineHost& host) {
    if (std::exchange(changed_, false)) {
      mover.pump();
    } else {
      host.step();
    }
  }

  void run(Mover& mover, faults::InlineHost& host) {
    changed_ = true;
    for (int i = 0; i < 10000 && (changed_ || host.outstanding() > 0); ++i) {
      step(mover, host);
    }
    EXPECT_EQ(host.outstanding(), 0U);
  }

  [[nodiscard]] bool every_buffer_is_back() const {
    std::byte* const whole = arena_->try_take(kArena);
    if (whole != nullptr) {
      arena_->give_back(whole);
    }
    return whole != nullptr;
  }

  [[nodiscard]] std::byte written(std::uint64_t host_cluster) const {
    auto& bytes = static_cast<faults::MemoryFile&>(layers_[0]->file()).bytes();
    return bytes.size() > host_cluster * kCluster ? bytes[host_cluster * kCluster] : std::byte{0};
  }

  static constexpr std::size_t kArena = 4 * kCluster;
  const std::unique_ptr<io::BufferArena> arena_ = io::BufferArena::create(kArena).value();
  const std::uint64_t seed_;
  image::Chain chain_;
  TableImage* layers_[2] = {};
  job::Board board_;
  bool changed_ = false;
};

TEST_F(MoverTest, HostClustersFollowTheOrderOfPiecesNotOfReads) {
  for (std::uint64_t round = 0; round < 50; ++round) {
    faults::InlineHost host(*arena_, seed_ + round + 1);
    const auto moving = mover(host, ZeroPolicy::kWrite);
    run(*moving, host);
    const Mover::Links links = moving->take_links();
    EXPECT_EQ(links.clusters, kPieces);
    EXPECT_EQ(links.guest_bytes, kPieces * kCluster);
    std::uint64_t linked = 0;
    for (const auto& link : links.runs) {
      EXPECT_EQ(link.host_cluster, 100 + link.guest_cluster);
      linked += link.count;
    }
    EXPECT_EQ(linked, kPieces);
    EXPECT_EQ(written(104), std::byte{5});
    EXPECT_TRUE(moving->idle());
    EXPECT_TRUE(every_buffer_is_back());
  }
}

TEST_F(MoverTest, ZerosTakeNoHostCluster) {
  for (const ZeroPolicy policy : {ZeroPolicy::kLeaveOut, ZeroPolicy::kZeroCluster}) {
    faults::InlineHost host(*arena_, seed_ + 1);
    const auto moving = mover(host, policy);
    run(*moving, host);
    const Mover::Links links = moving->take_links();
    std::uint64_t zeros = 0;
    for (const auto& link : links.runs) {
      zeros += link.zero ? link.count : 0;
    }
    EXPECT_EQ(zeros, policy == ZeroPolicy::kLeaveOut ? 0 : kPieces / 3);
    EXPECT_EQ(links.clusters, kPieces - kPieces / 3);
    EXPECT_EQ(links.guest_bytes, kPieces * kCluster);
    const auto unused = moving->take_unused_grants();
    ASSERT_EQ(unused.size(), 1U);
    EXPECT_EQ(unused[0].count, kPieces / 3);
  }
}

TEST_F(MoverTest, ALimitAppliesToReadsAndWrites) {
  faults::InlineHost host(*arena_, 0);
  const auto moving = mover(host, ZeroPolicy::kWrite);
  moving->set_bandwidth(kCluster);
  const Nanoseconds begin = host.clock().now();
  run(*moving, host);
  const double seconds = std::chrono::duration<double>(host.clock().now() - begin).count();
  EXPECT_EQ(moving->take_links().clusters, kPieces);
  EXPECT_GE(seconds, 11.5);
  EXPECT_LE(seconds, 14);
}

TEST_F(MoverTest, ALimitAppliesToReadsWithoutWrites) {
  layers_[1]->set_file(
      std::make_unique<faults::MemoryFile>(std::vector<std::byte>(kPieces * kCluster)));
  faults::InlineHost host(*arena_, 0);
  const auto moving = mover(host, ZeroPolicy::kLeaveOut);
  moving->set_bandwidth(kCluster);
  const Nanoseconds begin = host.clock().now();
  run(*moving, host);
  EXPECT_EQ(moving->take_links().guest_bytes, kPieces * kCluster);
  EXPECT_GE(std::chrono::duration<double>(host.clock().now() - begin).count(), 11.5);
}

TEST_F(MoverTest, APieceWhoseWriteFailedIsNeverLinked) {
  layers_[0]->set_file(std::make_unique<files::DescriptorFile>(io::KernelFile{}));
  faults::InlineHost host(*arena_, seed_ + 1);
  const auto moving = mover(host, ZeroPolicy::kWrite);
  run(*moving, host);
  ASSERT_TRUE(moving->error().has_value());
  EXPECT_EQ(moving->take_links().clusters, 0U);
  EXPECT_TRUE(every_buffer_is_back());
}

TEST_F(MoverTest, AStopAtAnyStepReturnsAllBuffersAndUnlinkedClusters) {
  for (int at = 0; at < 400; at += 3) {
    faults::InlineHost host(*arena_, seed_ + 1);
    const auto moving = mover(host, ZeroPolicy::kWrite);
    moving->set_bandwidth(at % 2 == 0 ? 0 : kCluster);
    changed_ = true;
    for (int i = 0; i < at; ++i) {
      step(*moving, host);
    }
    moving->stop();
    run(*moving, host);
    EXPECT_TRUE(moving->idle()) << at;
    EXPECT_EQ(moving->in_flight(), 0U) << at;
    EXPECT_TRUE(every_buffer_is_back()) << at;
    std::uint64_t unused = 0;
    for (const auto& range : moving->take_unused_grants()) {
      unused += range.count;
    }
    EXPECT_EQ(unused + moving->take_links().clusters, kPieces) << at;
  }
}

TEST_F(MoverTest, APieceWhoseReadFailedIsNeverLinked) {
  layers_[1]->set_file(std::make_unique<files::DescriptorFile>(io::KernelFile{}));
  faults::InlineHost host(*arena_, seed_ + 1);
  const auto moving = mover(host, ZeroPolicy::kLeaveOut);
  run(*moving, host);
  ASSERT_TRUE(moving->error().has_value());
  EXPECT_EQ(moving->error()->kind, ErrorKind::kUnsupported);
  const Mover::Links links = moving->take_links();
  EXPECT_TRUE(links.runs.empty());
  EXPECT_EQ(links.guest_bytes, 0U);
  EXPECT_TRUE(every_buffer_is_back());
}

}  // namespace
}  // namespace blockpull::driver
