// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/disk_tail.h"

#include <map>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/text.h"
#include "core/image/qcow2/check/stored_refcounts.h"
#include "core/image/qcow2/table_walk.h"

namespace blockpull::image::qcow2 {
namespace {

/// Bytes from the end of the disk to the end of the unit that QEMU copies.
std::uint64_t tail_length(const Header& header) {
  const std::uint64_t unit =
      header.has_extended_l2() ? header.cluster_size() / kSubclusters : header.cluster_size();
  const std::uint64_t past = header.virtual_size() % unit;
  return past == 0 ? 0 : unit - past;
}

/// `last`: the last sector of the disk. Absent if only zeros are behind it.
Result<std::optional<DiskTail>> tail_behind(Qcow2Image& image, Extent last) {
  DiskTail tail{last.host.value, tail_length(image.header()), true};
  if (last.status == Status::kCompressed) {
    // A stream has no subclusters.
    last.offset_in_cluster = image.virtual_size() % image.cluster_size();
    tail.length = image.cluster_size() - last.offset_in_cluster;
    tail.can_be_cleared = false;
  } else {
    last.host.value += kSector;
    tail.host_offset += kSector;
  }
  std::vector<std::byte> bytes(tail.length);
  BLOCKPULL_CHECK(read_extent(image, last, bytes));
  return all_zero(bytes) ? std::optional<DiskTail>() : std::optional(tail);
}

/// The last sector of the disk in one L2 table.
Result<Extent> last_sector(Qcow2Image& image, const DiskStates& states, std::uint64_t table) {
  const Header& header = image.header();
  const std::uint64_t offset = header.virtual_size() - kSector;
  const std::uint64_t cluster = offset / header.cluster_size();
  const L1Table& l1 = states.l1(0);
  const std::uint64_t slot = cluster - l1.first_cluster(l1.index_of(cluster));
  BLOCKPULL_TRY(view, image.tables().view(table + slot * header.l2_entry_bytes()));
  return walk_entries(shape_of(header), view.first(header.l2_entry_bytes()),
                      offset % header.cluster_size(), kSector)
      .extent;
}

/// How many states of the disk have the tail.
struct SharedTail {
  DiskTail tail;
  std::uint64_t states = 0;
};

/// A tail may be cleared if nothing but these states refers to its cluster.
Result<std::vector<DiskTail>> clearable(Qcow2Image& image,
                                        const std::map<std::uint64_t, SharedTail>& found) {
  std::vector<DiskTail> tails;
  BLOCKPULL_TRY(file_size, image.file().size());
  StoredRefcounts stored(image, file_size);
  for (const auto& [offset, shared] : found) {
    BLOCKPULL_TRY(refcount, stored.at(offset / image.cluster_size()));
    tails.push_back(shared.tail);
    tails.back().can_be_cleared &= refcount == shared.states;
  }
  return tails;
}

}  // namespace

Result<std::vector<DiskTail>> find_disk_tails(Qcow2Image& image, const DiskStates& states) {
  const Header& header = image.header();
  if (tail_length(header) == 0) {
    return std::vector<DiskTail>();
  }
  const L1Table& l1 = states.l1(0);
  BLOCKPULL_TRY(tables,
                states.tables_at(l1.index_of((header.virtual_size() - 1) / header.cluster_size())));
  // By offset in the file.
  std::map<std::uint64_t, SharedTail> found;
  for (const SharedTable& table : tables) {
    if (table.offset == 0) {
      continue;
    }
    BLOCKPULL_TRY(last, last_sector(image, states, table.offset));
    BLOCKPULL_TRY(tail, tail_behind(image, last));
    if (tail) {
      SharedTail& shared = found[tail->host_offset];
      shared.tail = *tail;
      shared.states += table.states.size();
    }
  }
  return clearable(image, found);
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
