// SPDX-License-Identifier: Apache-2.0

#include "core/image/image.h"

#include <cstring>
#include <vector>

#include "core/base/text.h"

namespace blockpull::image {
namespace {

/// Inflates the cluster of `extent` and copies the part of it that fills `into`.
Result<void> read_compressed(Image& image, const Extent& extent, std::span<std::byte> into) {
  std::vector<std::byte> compressed(extent.compressed_length);
  std::vector<std::byte> cluster(image.cluster_size());
  BLOCKPULL_CHECK(image.file().read_at(extent.host.value, compressed));
  BLOCKPULL_CHECK(image.inflate(compressed, cluster));
  std::memcpy(into.data(), cluster.data() + extent.offset_in_cluster, into.size());
  return {};
}

}  // namespace

const char* format_name(Format format) {
  return format == Format::kRaw ? "raw" : "qcow2";
}

Result<Format> parse_format(const std::string& name) {
  for (const Format format : {Format::kRaw, Format::kQcow2}) {
    if (name == format_name(format)) {
      return format;
    }
  }
  return make_error(ErrorKind::kFeatureUnsupported,
                    text("format '", name, "' is not supported; supported are qcow2 and raw"));
}

Result<std::size_t> Image::classify(GuestOffset, std::uint64_t, std::span<Status>) {
  return std::size_t{0};
}

Result<void> read_extent(Image& image, const Extent& extent, std::span<std::byte> into) {
  switch (extent.status) {
    case Status::kData:
      return image.file().read_at(extent.host.value, into);
    case Status::kCompressed:
      return read_compressed(image, extent, into);
    case Status::kZero:
    case Status::kUnallocated:
      break;
  }
  std::memset(into.data(), 0, into.size());
  return {};
}

}  // namespace blockpull::image
