// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/disk_tail.h"

#include <algorithm>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/text.h"

namespace blockpull::image::qcow2 {
namespace {

/// Bytes from the end of the disk to the end of the unit that QEMU copies.
std::uint64_t tail_length(const Header& header) {
  const std::uint64_t unit =
      header.has_extended_l2() ? header.cluster_size() / kSubclusters : header.cluster_size();
  const std::uint64_t past = header.virtual_size() % unit;
  return past == 0 ? 0 : unit - past;
}

}  // namespace

Result<std::optional<DiskTail>> find_disk_tail(Qcow2Image& image) {
  const std::uint64_t length = tail_length(image.header());
  if (length == 0) {
    return std::optional<DiskTail>();
  }
  BLOCKPULL_TRY(last, image.status({image.virtual_size() - kSector}, kSector));
  DiskTail tail{last.host.value, length, last.status == Status::kCompressed};
  if (tail.is_compressed) {
    // A stream has no subclusters.
    last.offset_in_cluster = image.virtual_size() % image.cluster_size();
    tail.length = image.cluster_size() - last.offset_in_cluster;
  } else {
    last.host.value += kSector;
    tail.host_offset += kSector;
  }
  std::vector<std::byte> bytes(tail.length);
  BLOCKPULL_CHECK(read_extent(image, last, bytes));
  return all_zero(bytes) ? std::optional<DiskTail>() : std::optional(tail);
}

std::string warning_of(const std::string& path, const Qcow2Image& image, const DiskTail& tail) {
  return text("image '", path, "' has ", tail.length,
              " bytes of a backing file after the end of its disk of ", image.virtual_size(),
              " bytes, in the same cluster; they become readable when the disk grows, so write "
              "zeros to the new space after growing it");
}

Result<void> clear_disk_tail(Qcow2Image& image, const DiskTail& tail) {
  return image.file().write_at(tail.host_offset, std::vector<std::byte>(tail.length));
}

}  // namespace blockpull::image::qcow2
