// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/disk_tail.h"

#include <algorithm>
#include <vector>

#include "core/base/bytes.h"

namespace blockpull::image::qcow2 {
namespace {

/// Bytes from the end of the disk to the end of what QEMU copies at once.
std::uint64_t tail_length(const Header& header) {
  const std::uint64_t unit =
      header.has_extended_l2() ? header.cluster_size() / kSubclusters : header.cluster_size();
  const std::uint64_t past = header.virtual_size() % unit;
  return past == 0 ? 0 : unit - past;
}

Result<std::vector<std::byte>> inflated_tail(Qcow2Image& image, const Extent& extent,
                                             std::uint64_t length) {
  std::vector<std::byte> compressed(extent.compressed_length);
  std::vector<std::byte> cluster(image.cluster_size());
  BLOCKPULL_CHECK(image.file().read_at(extent.host.value, compressed));
  BLOCKPULL_CHECK(image.inflate(compressed, cluster));
  return std::vector<std::byte>(cluster.end() - static_cast<std::ptrdiff_t>(length), cluster.end());
}

}  // namespace

Result<std::optional<DiskTail>> find_disk_tail(Qcow2Image& image) {
  const std::uint64_t length = tail_length(image.header());
  if (length == 0) {
    return std::optional<DiskTail>();
  }
  BLOCKPULL_TRY(last, image.status({image.virtual_size() - kSector}, kSector));
  std::vector<std::byte> bytes(length);
  DiskTail tail{last.host.value, length, last.status == Status::kCompressed};
  if (tail.is_compressed) {
    BLOCKPULL_TRY(inflated, inflated_tail(image, last,
                                          image.cluster_size() -
                                              image.virtual_size() % image.cluster_size()));
    bytes = std::move(inflated);
  } else if (last.status == Status::kData) {
    tail.host_offset += kSector;
    BLOCKPULL_CHECK(image.file().read_at(tail.host_offset, bytes));
  }
  tail.length = bytes.size();
  return all_zero(bytes) ? std::optional<DiskTail>() : std::optional(tail);
}

Result<void> clear_disk_tail(Qcow2Image& image, const DiskTail& tail) {
  return image.file().write_at(tail.host_offset, std::vector<std::byte>(tail.length));
}

}  // namespace blockpull::image::qcow2
