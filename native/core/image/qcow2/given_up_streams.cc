// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/given_up_streams.h"

#include <algorithm>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/image/qcow2/compressed.h"

namespace blockpull::image::qcow2 {
namespace {

constexpr int kMostBeginnings = 100;
constexpr int kMostStreams = 1000;

class StreamReader {
 public:
  StreamReader(Qcow2Image& image, std::uint64_t file_size)
      : image_(image), file_size_(file_size), cluster_(image.cluster_size()) {}

  /// Whether streams, one behind the other, are all there is from `begin` on, but for zeros.
  Result<bool> are_all(const std::uint64_t begin) {
    std::uint64_t offset = begin;
    while (offset < file_size_) {
      // A stream is shorter than what it makes.
      bytes_.resize(std::min<std::uint64_t>(file_size_ - offset, cluster_.size()));
      BLOCKPULL_CHECK(image_.file().read_at(offset, bytes_));
      if (offset > begin && bytes_.size() == file_size_ - offset && all_zero(bytes_)) {
        return true;
      }
      const auto length = inflate_exactly(image_.header().compression, bytes_, cluster_);
      if (!length.ok() || --streams_left_ < 0) {
        return false;
      }
      offset += *length;
    }
    return true;
  }

 private:
  Qcow2Image& image_;
  const std::uint64_t file_size_;
  int streams_left_ = kMostStreams;
  std::vector<std::byte> bytes_;
  std::vector<std::byte> cluster_;
};

}  // namespace

Result<bool> ends_with_given_up_streams(Qcow2Image& image, std::uint64_t end_of_use,
                                        std::uint64_t file_size) {
  StreamReader reader(image, file_size);
  std::uint64_t begin = round_down(file_size, image.cluster_size());
  for (int beginnings = 1; begin > end_of_use && beginnings < kMostBeginnings; ++beginnings) {
    BLOCKPULL_TRY(are_streams, reader.are_all(begin));
    if (are_streams) {
      return true;
    }
    begin -= image.cluster_size();
  }
  return reader.are_all(std::max(begin, end_of_use));
}

}  // namespace blockpull::image::qcow2
