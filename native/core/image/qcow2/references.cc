// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/references.h"

#include <algorithm>
#include <limits>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/text.h"
#include "core/image/qcow2/l2_entry.h"

namespace blockpull::image::qcow2 {
namespace {

/// Walks one image and marks everything that it refers to.
class Walk {
 public:
  Walk(Qcow2Image& image, std::uint64_t file_size, const IsWanted& is_wanted)
      : image_(image), file_size_(file_size), is_wanted_(is_wanted) {}

  Result<ReferenceMap> run() {
    const Header& header = image_.header();
    BLOCKPULL_CHECK(mark(0, cluster_size_, "the header"));
    const L1Table l1_table = image_.l1_table();
    BLOCKPULL_CHECK(mark(l1_table.offset(), l1_table.bytes(), "the L1 table"));
    const std::uint64_t refcount_table_bytes = header.refcount_table_clusters * cluster_size_;
    BLOCKPULL_CHECK(mark(header.refcount_table_offset, refcount_table_bytes, "the refcount table"));
    BLOCKPULL_CHECK(mark_refcount_blocks());
    BLOCKPULL_CHECK(
        walk_table(l1_table.offset(), l1_table.entries(),
                   [this](std::uint64_t index, std::uint64_t entry) { return l1(index, entry); }));
    return std::move(map_);
  }

 private:
  template <typename EachEntry>
  Result<void> walk_table(std::uint64_t offset, std::uint64_t entries, const EachEntry& each) {
    std::vector<std::byte> bytes;
    for (std::uint64_t index = 0; index < entries;) {
      BLOCKPULL_CHECK(check_wanted(is_wanted_));
      BLOCKPULL_TRY(view, image_.tables().view(offset + index * kEntryBytes));
      const std::uint64_t here =
          std::min<std::uint64_t>(view.size() / kEntryBytes, entries - index);
      const auto part = view.first(here * kEntryBytes);
      if (!all_zero(part)) {
        // A copy, since following an entry may reuse the slice.
        bytes.assign(part.begin(), part.end());
        for (std::uint64_t i = 0; i < here; ++i) {
          const auto entry = be_at<std::uint64_t>(bytes, i * kEntryBytes);
          if (entry != 0) {
            BLOCKPULL_CHECK(each(index + i, entry));
          }
        }
      }
      index += here;
    }
    return {};
  }

  Result<void> l1(std::uint64_t index, std::uint64_t entry) {
    const std::uint64_t offset = entry & kOffsetMask;
    const bool sound = (entry & kL1Reserved) == 0 && (entry & kCopied) != 0 && offset != 0 &&
                       is_aligned(offset, cluster_size_) &&
                       lies_in_file(offset, cluster_size_, file_size_, cluster_size_);
    if (!sound) {
      return corrupt(text("L1 entry ", index, " is ", Hex{entry}));
    }
    BLOCKPULL_CHECK(mark(offset, cluster_size_, "an L2 table"));
    // A small file can have millions of tables in holes.
    BLOCKPULL_TRY(hole, image_.file().is_hole(offset, cluster_size_));
    return hole ? Result<void>()
                : walk_table(offset, image_.header().l2_entries(),
                             [this](std::uint64_t, std::uint64_t l2) { return data(l2); });
  }

  /// Nearly all entries are of this kind, and there can be millions: plain data that nothing else
  /// uses.
  bool mark_plain(std::uint64_t entry) {
    const std::uint64_t offset = entry & kOffsetMask & ~(cluster_size_ - 1);
    if (offset == 0 || entry != (offset | kCopied) || !map_.try_mark(offset >> cluster_bits_)) {
      return false;
    }
    map_.note_plain_end(offset + cluster_size_);
    return true;
  }

  Result<void> data(std::uint64_t entry) {
    if (mark_plain(entry)) {
      return {};
    }
    const Header& header = image_.header();
    if ((entry & kCompressed) != 0) {
      const CompressedCluster cluster = decode_compressed(entry, header.cluster_bits);
      if ((entry & kCopied) != 0) {
        return corrupt(text("the entry of a compressed cluster is ", Hex{entry}));
      }
      map_.note_compressed(cluster);
      const std::uint64_t first = cluster.offset / cluster_size_;
      const std::uint64_t last = (cluster.offset + cluster.length - 1) / cluster_size_;
      return explain(map_.mark({first, last - first + 1}, ReferenceMap::Sharing::kShared,
                               "a compressed cluster"));
    }
    const std::uint64_t offset = entry & kOffsetMask;
    const bool zero = (entry & kZero) != 0;
    const bool copied = (entry & kCopied) != 0;
    const bool sound = (entry & kL2Reserved) == 0 && is_aligned(offset, cluster_size_) &&
                       (!zero || header.version >= 3) && copied == (offset != 0);
    if (!sound) {
      return corrupt(text("an L2 entry is ", Hex{entry}));
    }
    return offset == 0 ? Result<void>() : mark(offset, cluster_size_, "a data cluster");
  }

  Result<void> mark_refcount_blocks() {
    Refcounts refcounts(image_);
    const Header& header = image_.header();
    return walk_table(header.refcount_table_offset, refcounts.table_entries(),
                      [&](std::uint64_t index, std::uint64_t) -> Result<void> {
                        BLOCKPULL_TRY(offset, refcounts.block_offset(index));
                        return mark(offset, cluster_size_, "a refcount block");
                      });
  }

  Result<void> mark(std::uint64_t offset, std::uint64_t bytes, const char* what) {
    map_.note_plain_end(offset + bytes);
    return explain(map_.mark({offset / cluster_size_, divide_up(bytes, cluster_size_)},
                             ReferenceMap::Sharing::kExclusive, what));
  }

  Result<void> explain(Result<void> marked) {
    if (marked.ok()) {
      return marked;
    }
    Error error = std::move(marked).error();
    return error.kind == ErrorKind::kImageCorrupt
               ? corrupt(error.message)
               : std::move(error).with_path(image_.file().path());
  }

  Error corrupt(const std::string& what) {
    const std::string& path = image_.file().path();
    return make_error(ErrorKind::kImageCorrupt,
                      text("image '", path, "' is damaged: ", what,
                           "; nothing was written, run 'blockpull check' on it"))
        .with_path(path);
  }

  Qcow2Image& image_;
  const std::uint64_t file_size_;
  const IsWanted& is_wanted_;
  const std::uint32_t cluster_bits_ = image_.header().cluster_bits;
  const std::uint64_t cluster_size_ = image_.header().cluster_size();
  ReferenceMap map_;
};

/// Of one count in `large_`, about.
constexpr std::size_t kLargeBytes = 64;

Error too_large(const char* what) {
  return make_error(
      ErrorKind::kFeatureUnsupported,
      text("with ", what, " a map of the host clusters in use takes more than 128 MiB ",
           "of memory; convert the image"));
}

}  // namespace

ReferenceMap::Chunk* ReferenceMap::chunk_at(std::uint64_t index) const {
  if (index < kNearChunks) {
    return index < near_.size() ? near_[index] : nullptr;
  }
  const auto found = chunks_.find(index);
  return found == chunks_.end() ? nullptr : found->second.get();
}

bool ReferenceMap::take_bytes(std::size_t bytes) {
  if (bytes > kMaxBytes - bytes_) {
    return false;
  }
  bytes_ += bytes;
  return true;
}

ReferenceMap::Chunk* ReferenceMap::chunk_for(std::uint64_t index) {
  Chunk* const there = chunk_at(index);
  if (there != nullptr || !take_bytes(sizeof(Chunk))) {
    return there;
  }
  auto& made = chunks_[index];
  made = std::make_unique<Chunk>();
  if (index < kNearChunks) {
    near_.resize(std::max<std::size_t>(near_.size(), index + 1));
    near_[index] = made.get();
  }
  return made.get();
}

std::uint16_t* ReferenceMap::count_in(Chunk& chunk, std::uint64_t cluster) {
  if (chunk.counts == nullptr) {
    if (!take_bytes(sizeof(ChunkCounts))) {
      return nullptr;
    }
    chunk.counts = std::make_unique<ChunkCounts>();
  }
  auto& counts = (*chunk.counts)[cluster % kChunkClusters / 64];
  if (counts == nullptr) {
    if (!take_bytes(sizeof(Counts))) {
      return nullptr;
    }
    counts = std::make_unique<Counts>();
  }
  return &(*counts)[cluster % 64];
}

Result<void> ReferenceMap::add(std::uint64_t cluster, std::uint64_t times, const char* what) {
  Chunk* const chunk = chunk_for(cluster / kChunkClusters);
  if (chunk == nullptr) {
    return too_large(what);
  }
  Marks& marks = chunk->marks[cluster % kChunkClusters / 64];
  const std::uint64_t mask = std::uint64_t{1} << (cluster % 64);
  const bool is_first = (marks.used & mask) == 0;
  if (is_first && times == 1) {
    marks.owned |= mask;
  } else {
    std::uint16_t* const count = count_in(*chunk, cluster);
    if (count == nullptr) {
      return too_large(what);
    }
    const std::uint64_t sum = this->count(cluster) + times;
    if (sum >= kMany) {
      if (*count < kMany && !take_bytes(kLargeBytes)) {
        return too_large(what);
      }
      large_[cluster] = sum;
    }
    *count = static_cast<std::uint16_t>(std::min<std::uint64_t>(sum, kMany));
    marks.owned &= ~mask;
  }
  marks.used |= mask;
  end_ = std::max(end_, cluster + 1);
  return {};
}

bool ReferenceMap::try_mark(std::uint64_t cluster) {
  Chunk* const chunk = chunk_at(cluster / kChunkClusters);
  if (chunk == nullptr) {
    return false;
  }
  Marks& marks = chunk->marks[cluster % kChunkClusters / 64];
  const std::uint64_t mask = std::uint64_t{1} << (cluster % 64);
  if ((marks.used & mask) != 0) {
    return false;
  }
  marks.used |= mask;
  marks.owned |= mask;
  end_ = std::max(end_, cluster + 1);
  return true;
}

Result<void> ReferenceMap::mark(ClusterRange range, Sharing sharing, const char* what) {
  for (std::uint64_t cluster = range.first; cluster < range.end(); ++cluster) {
    Chunk* const chunk = chunk_for(cluster / kChunkClusters);
    if (chunk == nullptr) {
      return too_large(what);
    }
    Marks& marks = chunk->marks[cluster % kChunkClusters / 64];
    const std::uint64_t mask = std::uint64_t{1} << (cluster % 64);
    const bool is_exclusive = sharing == Sharing::kExclusive;
    if (((is_exclusive ? marks.used : marks.owned) & mask) != 0) {
      return make_error(ErrorKind::kImageCorrupt,
                        text(what, " lies in host cluster ", cluster, ", which is already in use"));
    }
    if (!is_exclusive) {
      std::uint16_t* const count = count_in(*chunk, cluster);
      if (count == nullptr) {
        return too_large(what);
      }
      if (*count < kMany) {
        ++*count;
      }
    }
    marks.used |= mask;
    marks.owned |= is_exclusive ? mask : 0;
  }
  end_ = std::max(end_, range.end());
  return {};
}

std::uint64_t ReferenceMap::count(std::uint64_t cluster) const {
  const Chunk* const chunk = chunk_at(cluster / kChunkClusters);
  if (chunk == nullptr) {
    return 0;
  }
  const Marks& marks = chunk->marks[cluster % kChunkClusters / 64];
  const std::uint64_t mask = std::uint64_t{1} << (cluster % 64);
  if ((marks.used & mask) == 0) {
    return 0;
  }
  if ((marks.owned & mask) != 0) {
    return 1;
  }
  const std::uint16_t counted = (*(*chunk->counts)[cluster % kChunkClusters / 64])[cluster % 64];
  const auto large = counted < kMany ? large_.end() : large_.find(cluster);
  return large == large_.end() ? counted : large->second;
}

std::optional<std::uint64_t> ReferenceMap::next_chunk(std::uint64_t index) const {
  for (std::uint64_t near = index; near < near_.size(); ++near) {
    if (near_[near] != nullptr) {
      return near;
    }
  }
  std::optional<std::uint64_t> next;
  for (const auto& [far, chunk] : chunks_) {
    if (far >= index && far >= kNearChunks && (!next || far < *next)) {
      next = far;
    }
  }
  return next;
}

std::optional<std::uint64_t> ReferenceMap::first_in(ClusterRange range) const {
  std::uint64_t cluster = range.first;
  const std::uint64_t end = std::min(range.end(), end_);
  while (cluster < end) {
    if (chunk_at(cluster / kChunkClusters) == nullptr) {
      const auto next = next_chunk(cluster / kChunkClusters);
      cluster = next ? *next * kChunkClusters : end;
    } else if (has(cluster)) {
      return cluster;
    } else {
      ++cluster;
    }
  }
  return std::nullopt;
}

Result<ReferenceMap> find_references(Qcow2Image& image, const IsWanted& is_wanted) {
  BLOCKPULL_TRY(file_size, image.file().size());
  return Walk(image, file_size, is_wanted).run();
}

}  // namespace blockpull::image::qcow2
