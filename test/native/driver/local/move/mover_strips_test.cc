// SPDX-License-Identifier: Apache-2.0
//
// Clusters that are larger than a limit's pieces are moved in strips: many slow jobs in little
// memory, strips of zeros, the moment of the link, and limits that change inside a cluster.

#include <random>
#include <utility>

#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "driver/local/move/mover.h"
#include "driver/table_image.h"
#include "faults/content.h"
#include "faults/inline_host.h"
#include "files/test_seed.h"

namespace blockpull::driver {
namespace {

using image::Status;

constexpr std::uint64_t kCluster = 65536;
constexpr std::uint64_t kStrip = 4096;
constexpr std::uint64_t kClusters = 8;
/// The first of the granted host clusters.
constexpr std::uint64_t kFirstHost = 3;

/// Two layers in memory: the lower has the guest's bytes, in place.
class Layers {
 public:
  explicit Layers(std::vector<std::byte> guest) {
    for (int i = 0; i < 2; ++i) {
      auto layer = std::make_unique<TableImage>(guest.size(), kCluster);
      auto file = std::make_unique<faults::MemoryFile>(i == 0 ? std::vector<std::byte>() : guest);
      files_[i] = file.get();
      layer->set_file(std::move(file));
      chain_.layers.push_back({"layer", nullptr, std::move(layer)});
    }
  }

  [[nodiscard]] const image::Chain& chain() const { return chain_; }
  [[nodiscard]] std::span<const std::byte> guest(std::uint64_t cluster) const {
    return std::span(files_[1]->bytes()).subspan(cluster * kCluster, kCluster);
  }

  /// The upper layer's bytes in that host cluster; bytes that were never written read as zeros.
  [[nodiscard]] std::vector<std::byte> host(std::uint64_t cluster) const {
    std::vector<std::byte> bytes(kCluster);
    EXPECT_TRUE(files_[0]->read_at(cluster * kCluster, bytes).ok());
    return bytes;
  }
  [[nodiscard]] std::uint64_t host_size() const { return files_[0]->bytes().size(); }

 private:
  image::Chain chain_;
  faults::MemoryFile* files_[2] = {};
};

/// One mover that moves every cluster of its layers.
class Job {
 public:
  Job(faults::InlineHost& host, std::vector<std::byte> guest, ZeroPolicy zeros,
      std::uint64_t clusters_a_piece = 1)
      : layers_(std::move(guest)),
        mover_(host, board_, layers_.chain(), zeros, [this] { pump(); }) {
    const std::uint64_t clusters = layers_.chain().active().virtual_size() / kCluster;
    for (std::uint64_t first = 0; first < clusters; first += clusters_a_piece) {
      Piece piece;
      piece.clusters = std::min(clusters_a_piece, clusters - first);
      piece.runs = {{first, piece.clusters}};
      piece.segments = {{Status::kData, 1, {first * kCluster}, 0, piece.clusters * kCluster}};
      piece.guest_bytes = piece.clusters * kCluster;
      mover_.enqueue(std::move(piece));
    }
    mover_.grant({kFirstHost, clusters});
  }

  /// As in a pull: a pump that is requested from inside a pump runs afterwards.
  void pump() {
    again_ = true;
    if (std::exchange(pumping_, true)) {
      return;
    }
    while (std::exchange(again_, false)) {
      mover_.pump();
    }
    pumping_ = false;
  }

  void set_bandwidth(std::uint64_t bytes_per_second) {
    mover_.set_bandwidth(bytes_per_second);
    pump();
  }

  [[nodiscard]] Mover& mover() { return mover_; }
  [[nodiscard]] const Layers& layers() const { return layers_; }
  [[nodiscard]] std::uint64_t moved() const { return board_.moved; }

 private:
  Layers layers_;
  job::Board board_;
  Mover mover_;
  bool pumping_ = false;
  bool again_ = false;
};

std::unique_ptr<io::BufferArena> arena_of(std::size_t bytes) {
  return io::BufferArena::create(bytes).value();
}

double seconds_since(faults::InlineHost& host, Nanoseconds begin) {
  return std::chrono::duration<double>(host.clock().now() - begin).count();
}

TEST(MoverStrips, ManySlowJobsShareASmallPoolAndEachReachesItsLimit) {
  constexpr Nanoseconds kApart{1'500'000};
  // Less than a cluster; a strip for every fifth job.
  const auto arena = arena_of(8 * kStrip);
  faults::InlineHost host(*arena, test_seed());
  const Nanoseconds begin = host.clock().now();
  std::vector<std::unique_ptr<Job>> jobs;
  for (int i = 0; i < 40; ++i) {
    jobs.push_back(
        std::make_unique<Job>(host, faults::pattern(7, 4 * kCluster), ZeroPolicy::kLeaveOut));
    host.call_at(begin + i * kApart, [&job = *jobs.back()] { job.set_bandwidth(kCluster); });
  }
  for (int second = 1; second <= 3; ++second) {
    while (seconds_since(host, begin) < second && host.step()) {
    }
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const double seconds = seconds_since(host, begin + static_cast<int>(i) * kApart);
      EXPECT_GE(jobs[i]->moved(), 0.98 * seconds * kCluster - kStrip);
      EXPECT_LE(jobs[i]->moved(), 1.02 * seconds * kCluster + kStrip);
    }
  }
  while (host.step()) {
  }
  EXPECT_LE(seconds_since(host, begin), 4.1);
  for (const auto& job : jobs) {
    EXPECT_EQ(job->mover().take_links().clusters, 4U);
  }
}

TEST(MoverStrips, APieceWaitingForTheLimiterHoldsNoBuffer) {
  const auto arena = arena_of(2 * kCluster);
  faults::InlineHost host(*arena, 0);
  Job job(host, faults::pattern(8, 2 * kCluster), ZeroPolicy::kLeaveOut);
  job.set_bandwidth(kCluster);
  int waits = 0;
  while (host.step()) {
    if (job.mover().in_flight() == 0) {
      std::byte* const all = arena->try_take(2 * kCluster);
      ASSERT_NE(all, nullptr);
      arena->give_back(all);
      ++waits;
    }
  }
  EXPECT_GE(waits, 31);
}

TEST(MoverStrips, LateWritesPauseReadsBeforeTheyHoldManyBuffers) {
  constexpr std::uint64_t kArena = 2 * kCluster;
  const auto arena = arena_of(kArena);
  faults::InlineHost host(*arena, 0);
  Job job(host, faults::pattern(9, kClusters * kCluster), ZeroPolicy::kLeaveOut);
  const auto grants = job.mover().take_unused_grants();
  const Nanoseconds begin = host.clock().now();
  job.set_bandwidth(kCluster);
  while (seconds_since(host, begin) < 1 && host.step()) {
  }
  EXPECT_EQ(arena->try_take(kArena - 6 * kStrip), nullptr) << "nothing waits for a host cluster";
  job.mover().grant(grants.at(0));
  job.pump();
  while (seconds_since(host, begin) < 2.5 && host.step()) {
  }
  EXPECT_NE(arena->try_take(kArena - 6 * kStrip), nullptr);
}

TEST(MoverStrips, AClusterIsLinkedOnlyAfterItsLastStripIsWritten) {
  for (std::uint64_t round = 0; round < 20; ++round) {
    const auto arena = arena_of(2 * kCluster);
    faults::InlineHost host(*arena, test_seed() + round + 1);
    Job job(host, faults::pattern(round, kClusters * kCluster), ZeroPolicy::kLeaveOut);
    job.set_bandwidth(kCluster);
    std::uint64_t linked = 0;
    do {
      for (const auto& run : job.mover().take_links().runs) {
        ASSERT_EQ(run.count, 1U);
        const auto guest = job.layers().guest(run.guest_cluster);
        ASSERT_EQ(job.layers().host(run.host_cluster), std::vector(guest.begin(), guest.end()));
        ++linked;
      }
    } while (host.step());
    EXPECT_EQ(linked, kClusters);
    EXPECT_TRUE(job.mover().idle());
    EXPECT_NE(arena->try_take(2 * kCluster), nullptr) << "a buffer is not back";
  }
}

/// Zeros except for one strip in each odd cluster, the strip with the cluster's number.
std::vector<std::byte> mostly_zeros() {
  std::vector<std::byte> guest(kClusters * kCluster);
  for (std::uint64_t cluster = 1; cluster < kClusters; cluster += 2) {
    std::fill_n(guest.begin() + static_cast<std::ptrdiff_t>(cluster * kCluster + cluster * kStrip),
                kStrip, static_cast<std::byte>(cluster));
  }
  return guest;
}

TEST(MoverStrips, ZeroStripsAreNotWrittenAndZeroClustersTakeNoSpace) {
  for (const ZeroPolicy policy : {ZeroPolicy::kLeaveOut, ZeroPolicy::kZeroCluster}) {
    const auto arena = arena_of(2 * kCluster);
    faults::InlineHost host(*arena, test_seed() + 1);
    Job job(host, mostly_zeros(), policy);
    job.set_bandwidth(kCluster);
    while (host.step()) {
    }
    const Mover::Links links = job.mover().take_links();
    EXPECT_EQ(links.guest_bytes, kClusters * kCluster);
    EXPECT_EQ(links.clusters, kClusters / 2);
    std::uint64_t zeros = 0;
    for (const auto& run : links.runs) {
      zeros += run.zero ? run.count : 0;
      if (!run.zero) {
        const auto guest = job.layers().guest(run.guest_cluster);
        EXPECT_EQ(job.layers().host(run.host_cluster), std::vector(guest.begin(), guest.end()));
      }
    }
    EXPECT_EQ(zeros, policy == ZeroPolicy::kZeroCluster ? kClusters / 2 : 0);
    EXPECT_EQ(job.layers().host_size(),
              (kFirstHost + kClusters / 2 - 1) * kCluster + kClusters * kStrip)
        << "something was written behind the last strip that is not zeros";
  }
}

TEST(MoverStrips, MovesMoreZeroStripsThanMayBeInFlight) {
  constexpr std::uint64_t kUnread = 3;
  static_assert(kUnread * kCluster / kStrip > limits::kPiecesInFlight);
  const auto arena = arena_of(4 * kCluster);
  faults::InlineHost host(*arena, 0);
  Job job(host, faults::pattern(6, kCluster), ZeroPolicy::kLeaveOut);
  for (std::uint64_t cluster = 1; cluster <= kUnread; ++cluster) {
    Piece piece;
    piece.clusters = 1;
    piece.runs = {{cluster, 1}};
    piece.segments = {{.status = Status::kZero, .length = kCluster}};
    piece.guest_bytes = kCluster;
    job.mover().enqueue(std::move(piece));
  }
  job.set_bandwidth(kCluster);
  while (host.step()) {
  }
  EXPECT_TRUE(job.mover().idle());
  EXPECT_EQ(job.mover().links().guest_bytes, (1 + kUnread) * kCluster);
}

TEST(MoverStrips, KnownZerosTakeNoBufferAndDoNotCountAsMoved) {
  const auto arena = arena_of(kStrip);
  faults::InlineHost host(*arena, 0);
  Job job(host, faults::pattern(5, kCluster), ZeroPolicy::kLeaveOut);
  job.set_bandwidth(kCluster);
  while (host.step()) {
  }
  ASSERT_NE(arena->try_take(kStrip), nullptr);
  Piece piece;
  piece.clusters = 1;
  piece.runs = {{1, 1}};
  piece.segments = {{.status = Status::kZero, .length = kCluster}};
  piece.guest_bytes = kCluster;
  job.mover().enqueue(std::move(piece));
  job.pump();
  while (host.step()) {
  }
  EXPECT_TRUE(job.mover().idle());
  EXPECT_EQ(job.mover().links().guest_bytes, 2 * kCluster);
  EXPECT_EQ(job.mover().tally().bytes(WayKind::kZeros), kCluster);
  EXPECT_EQ(job.mover().tally().bytes(WayKind::kBuffered), kCluster);
  EXPECT_EQ(job.moved(), kCluster);
}

TEST(MoverStrips, ZerosBehindASlowFirstReadAreAllMoved) {
  constexpr std::uint64_t kMany = 3 * limits::kPiecesInFlight;
  const std::vector<std::byte> guest(kMany * kCluster);
  for (std::uint64_t order = 1; order <= 100; ++order) {
    const auto arena = arena_of(2 * limits::kPiecesInFlight * kCluster);
    faults::InlineHost host(*arena, order);
    Job job(host, guest, ZeroPolicy::kLeaveOut);
    job.pump();
    while (host.step()) {
    }
    ASSERT_TRUE(job.mover().idle()) << "order " << order;
    ASSERT_EQ(job.mover().links().guest_bytes, kMany * kCluster);
  }
}

TEST(MoverStrips, ZeroStripsAreWrittenIfZerosMustBe) {
  const auto arena = arena_of(2 * kCluster);
  faults::InlineHost host(*arena, test_seed() + 1);
  Job job(host, mostly_zeros(), ZeroPolicy::kWrite);
  job.set_bandwidth(kCluster);
  while (host.step()) {
  }
  EXPECT_EQ(job.mover().take_links().clusters, kClusters);
  EXPECT_EQ(job.layers().host_size(), (kFirstHost + kClusters) * kCluster);
}

TEST(MoverStrips, ALimitThatChangesInTheMiddleOfAPieceLosesNothing) {
  constexpr std::uint64_t kLimits[] = {0, 4096, kCluster, 20 * kCluster, 128 * kCluster};
  std::mt19937_64 random(test_seed());
  for (int round = 0; round < 60; ++round) {
    const auto arena = arena_of(4 * kCluster);
    faults::InlineHost host(*arena, random() | 1U);
    std::vector<std::byte> guest = faults::pattern(random(), kClusters * kCluster);
    std::fill_n(guest.begin() + static_cast<std::ptrdiff_t>(3 * kCluster), kCluster, std::byte{0});
    Job job(host, guest, ZeroPolicy::kLeaveOut, 3);
    job.pump();
    do {
      if (random() % 8 == 0) {
        job.set_bandwidth(kLimits[random() % std::size(kLimits)]);
      }
    } while (host.step());
    const Mover::Links links = job.mover().take_links();
    ASSERT_TRUE(job.mover().idle());
    EXPECT_EQ(job.mover().queued_bytes(), 0U);
    EXPECT_EQ(links.guest_bytes, kClusters * kCluster);
    EXPECT_EQ(links.clusters, kClusters - 1);
    for (const auto& run : links.runs) {
      for (std::uint64_t i = 0; i < run.count; ++i) {
        const auto from = job.layers().guest(run.guest_cluster + i);
        EXPECT_EQ(job.layers().host(run.host_cluster + i), std::vector(from.begin(), from.end()));
      }
    }
  }
}

TEST(MoverStrips, AStopBetweenStripsGivesTheHostClusterBack) {
  for (int at = 0; at < 150; ++at) {
    const auto arena = arena_of(2 * kCluster);
    faults::InlineHost host(*arena, test_seed() + 1);
    Job job(host, mostly_zeros(), ZeroPolicy::kLeaveOut);
    job.set_bandwidth(kCluster);
    for (int i = 0; i < at && host.step(); ++i) {
    }
    job.mover().stop();
    while (host.step()) {
    }
    ASSERT_TRUE(job.mover().idle());
    std::uint64_t unused = 0;
    for (const auto& range : job.mover().take_unused_grants()) {
      unused += range.count;
    }
    EXPECT_EQ(unused + job.mover().take_links().clusters, kClusters) << at;
    EXPECT_NE(arena->try_take(2 * kCluster), nullptr) << "a buffer is not back";
  }
}

}  // namespace
}  // namespace blockpull::driver
