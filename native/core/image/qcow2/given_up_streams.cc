// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/given_up_streams.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/image/qcow2/compressed.h"
#include "core/image/qcow2/layout.h"

namespace blockpull::image::qcow2 {
namespace {

/// A hostile stream of 2 KiB inflates to 2 MiB: all of them together take a second or two.
constexpr int kMostStreams = 1000;

constexpr std::size_t kMostBeginnings = 100;

class StreamReader {
 public:
  StreamReader(Qcow2Image& image, std::uint64_t file_size)
      : image_(image), file_size_(file_size), cluster_(image.cluster_size()) {}

  /// Whether everything from `begin` on is streams, one behind the other, except for zeros at the
  /// end.
  Result<bool> are_all(const std::uint64_t begin) {
    std::uint64_t offset = begin;
    while (offset < file_size_ && streams_left_ > 0) {
      // A stream is shorter than its cluster.
      bytes_.resize(std::min<std::uint64_t>(file_size_ - offset, cluster_.size()));
      BLOCKPULL_CHECK(image_.file().read_at(offset, bytes_));
      if (offset > begin && bytes_.size() == file_size_ - offset && all_zero(bytes_)) {
        return true;
      }
      const auto length = inflate_exactly(image_.header().compression, bytes_, cluster_);
      if (!length.ok()) {
        return false;
      }
      --streams_left_;
      offset += *length;
    }
    return offset > begin && offset == file_size_;
  }

 private:
  Qcow2Image& image_;
  const std::uint64_t file_size_;
  /// For all beginnings together.
  int streams_left_ = kMostStreams;
  std::vector<std::byte> bytes_;
  std::vector<std::byte> cluster_;
};

/// Whether another image begins at that byte or at a later cluster; compressed clusters at the end
/// then belong to that image.
Result<bool> has_image(io::File& file, std::uint64_t first, std::uint64_t file_size,
                       std::uint64_t cluster_size) {
  std::array<std::byte, sizeof kMagic> bytes{};
  std::uint64_t at = first;
  while (at < file_size) {
    BLOCKPULL_TRY(run, file.run_at(at));
    const std::uint64_t end = at + std::min(run.length, file_size - at);
    // A file can have millions of clusters in a hole, and none of them holds a magic.
    for (; !run.hole && at < end; at = round_down(at, cluster_size) + cluster_size) {
      BLOCKPULL_CHECK(file.read_at(at, bytes));
      if (be_at<std::uint32_t>(bytes, 0) == kMagic) {
        return true;
      }
    }
    at = std::max(at, round_up(end, cluster_size));
  }
  return false;
}

}  // namespace

Result<bool> ends_with_given_up_streams(Qcow2Image& image, const TrailingRange& range) {
  const auto [end_of_use, first, file_size] = range;
  BLOCKPULL_TRY(is_image, has_image(image.file(), first, file_size, image.cluster_size()));
  if (is_image) {
    return false;
  }
  StreamReader reader(image, file_size);
  std::vector<std::uint64_t> beginnings{end_of_use, round_up(end_of_use, image.cluster_size())};
  // Streams may begin behind clusters that were abandoned or never linked.
  std::uint64_t begin = round_down(file_size, image.cluster_size());
  while (begin > beginnings[1] && beginnings.size() < kMostBeginnings) {
    beginnings.push_back(begin);
    begin -= image.cluster_size();
  }
  for (const std::uint64_t beginning : beginnings) {
    BLOCKPULL_TRY(are_streams, reader.are_all(beginning));
    if (are_streams) {
      return true;
    }
  }
  return false;
}

}  // namespace blockpull::image::qcow2
