// SPDX-License-Identifier: Apache-2.0
//
// How often does anything in the image refer to a host cluster? The map counts. find_references()
// fills it for a pull, which allocates by it and so trusts neither the refcounts nor the file's
// length (a crash after fallocate leaves the file long). A check (check/check.h) fills it with
// add().
//
//     chunk of 32,768 clusters    used    11110110…     a bit each
//                                 owned   11100100…     a bit each: by one exclusive owner
//                                 counts  · · · 3 ·     64 at a time, where one of them is shared
//
// Nearly all clusters have one owner, so the bits are the count. Chunks are created as needed, and
// memory is limited. A file with references spread wider than that is refused; nothing is guessed.
// A pull takes two references to one cluster for corruption where there can be only
// one (it refuses images with snapshots before).

#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/base/wanted.h"
#include "core/image/qcow2/l2_entry.h"
#include "core/image/qcow2/refcounts.h"

namespace blockpull::image::qcow2 {

class ReferenceMap {
 public:
  enum class Sharing : std::uint8_t { kExclusive, kShared };

  /// kShared: compressed clusters may share a host cluster with each other, but with nothing else.
  /// kImageCorrupt if a cluster has two owners and one is exclusive. kFeatureUnsupported if the
  /// marks would exceed the memory limit.
  [[nodiscard]] Result<void> mark(ClusterRange range, Sharing sharing, const char* what);
  /// Counts `times` more references to a cluster, whoever has it. kFeatureUnsupported over the
  /// memory limit.
  [[nodiscard]] Result<void> add(std::uint64_t cluster, std::uint64_t times, const char* what);
  /// mark() for one exclusive cluster. False, with nothing marked, if it is already in use or
  /// mark() has to make room.
  [[nodiscard]] bool try_mark(std::uint64_t cluster);
  [[nodiscard]] bool has(std::uint64_t cluster) const { return count(cluster) > 0; }
  /// How many references the cluster has.
  [[nodiscard]] std::uint64_t count(std::uint64_t cluster) const;
  /// The first marked cluster of the range, if any.
  [[nodiscard]] std::optional<std::uint64_t> first_in(ClusterRange range) const;

  /// One past the highest marked cluster.
  [[nodiscard]] std::uint64_t end() const { return end_; }

  /// The exact end, in bytes, of everything that is not compressed.
  void note_plain_end(std::uint64_t end_bytes) {
    plain_end_bytes_ = std::max(plain_end_bytes_, end_bytes);
  }
  [[nodiscard]] std::uint64_t plain_end_bytes() const { return plain_end_bytes_; }

  /// With subclusters: where those end that are zeros now, right behind the last allocated one of a
  /// cluster. Earlier bytes of theirs may lie there.
  void note_zeroed_end(std::uint64_t end_bytes) {
    zeroed_end_bytes_ = std::max(zeroed_end_bytes_, end_bytes);
  }
  [[nodiscard]] std::uint64_t zeroed_end_bytes() const { return zeroed_end_bytes_; }

  /// The compressed cluster that begins last; length 0: there is none.
  void note_compressed(const CompressedCluster& cluster) {
    if (cluster.offset >= last_compressed_.offset) {
      last_compressed_ = cluster;
    }
  }
  [[nodiscard]] const CompressedCluster& last_compressed() const { return last_compressed_; }

 private:
  static constexpr std::uint64_t kChunkClusters = 32768;
  /// 128 MiB: 32 TiB of 64 KiB clusters, 256 GiB of 512-byte clusters; a tenth of that where
  /// compressed clusters share host clusters everywhere.
  static constexpr std::size_t kMaxBytes = std::size_t{128} << 20U;

  /// Chunks that need no search: 128 TiB of 64 KiB clusters.
  static constexpr std::size_t kNearChunks = 65536;

  /// Bits for 64 clusters: in use at all, and in use by an exclusive owner. They are side by side,
  /// since a disk that was written at random is also marked at random.
  struct Marks {
    std::uint64_t used = 0;
    std::uint64_t owned = 0;
  };

  static constexpr std::uint16_t kMany = std::numeric_limits<std::uint16_t>::max();

  /// Of 64 clusters. mark() stops at kMany; add() counts on in `large_`.
  using Counts = std::array<std::uint16_t, 64>;
  using ChunkCounts = std::array<std::unique_ptr<Counts>, kChunkClusters / 64>;

  struct Chunk {
    std::array<Marks, kChunkClusters / 64> marks;
    /// Of the clusters that are used and not owned; null where there is none.
    std::unique_ptr<ChunkCounts> counts;
  };

  /// nullptr if it does not exist.
  [[nodiscard]] Chunk* chunk_at(std::uint64_t index) const;
  /// nullptr: it would be over the bound.
  [[nodiscard]] Chunk* chunk_for(std::uint64_t index);
  /// The place of a cluster's count; nullptr: it would be over the bound.
  [[nodiscard]] std::uint16_t* count_in(Chunk& chunk, std::uint64_t cluster);
  [[nodiscard]] bool take_bytes(std::size_t bytes);
  /// The first existing chunk from `index` on.
  [[nodiscard]] std::optional<std::uint64_t> next_chunk(std::uint64_t index) const;

  std::unordered_map<std::uint64_t, std::unique_ptr<Chunk>> chunks_;
  /// The chunks of `chunks_` by index, up to the highest near one.
  std::vector<Chunk*> near_;
  /// Counts of kMany and more, by cluster.
  std::unordered_map<std::uint64_t, std::uint64_t> large_;
  std::size_t bytes_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t plain_end_bytes_ = 0;
  std::uint64_t zeroed_end_bytes_ = 0;
  CompressedCluster last_compressed_{0, 0};
};

/// Marks everything that the image refers to. kImageCorrupt for an entry that cannot be right:
/// unaligned, reserved bits set, a table outside the file, "copied" missing, two owners of one
/// cluster. kCancelled if nobody wants the result any more.
[[nodiscard]] Result<ReferenceMap> find_references(Qcow2Image& image, const IsWanted& is_wanted);

}  // namespace blockpull::image::qcow2
