// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/disk_states.h"

#include <unordered_map>

#include "core/base/checked.h"
#include "core/base/text.h"
#include "core/image/qcow2/snapshots.h"

namespace blockpull::image::qcow2 {
namespace {

/// Narrower refcounts cannot be shared by the tables of many states (a snapshot that QEMU takes
/// later adds one to each).
constexpr std::uint64_t kMinRefcountBits = 8;

Error refuse(ErrorKind kind, const std::string& path, std::string message) {
  return make_error(kind, std::move(message)).with_path(path);
}

Result<void> check_snapshot(const Header& header, const Snapshot& snapshot,
                            const std::string& path) {
  const std::uint64_t size = round_down(snapshot.disk_size.value_or(header.stored_size), kSector);
  if (size != header.virtual_size()) {
    return refuse(ErrorKind::kFeatureUnsupported, path,
                  text("snapshot '", snapshot.name, "' of image '", path, "' is of a disk of ",
                       size, " bytes, and the disk has ", header.virtual_size(),
                       " now; writing to such an image is not supported; delete the snapshot "
                       "first"));
  }
  const std::uint64_t needed = divide_up(size, header.cluster_size() * header.l2_entries());
  if (snapshot.l1_entries < needed) {
    return refuse(ErrorKind::kImageCorrupt, path,
                  text("snapshot '", snapshot.name, "' of image '", path, "' has an L1 table of ",
                       snapshot.l1_entries, " entries; its disk takes ", needed));
  }
  return {};
}

/// Each state may refer to a cluster, and a snapshot that QEMU takes or applies later may double
/// that.
Result<void> check_refcount_width(const Header& header, const std::string& path) {
  const std::uint64_t bits = header.refcount_bits();
  const std::uint64_t most = bits >= 32 ? UINT32_MAX : (std::uint64_t{1} << bits) - 1;
  if (bits >= kMinRefcountBits && std::uint64_t{header.snapshot_count} + 1 <= most / 2) {
    return {};
  }
  return refuse(
      ErrorKind::kFeatureUnsupported, path,
      text("image '", path, "' has ", header.snapshot_count,
           " internal snapshots and refcounts of ", bits,
           " bits, which are too narrow to fill them all; run 'qemu-img amend -f qcow2 -o "
           "refcount_bits=",
           bits < 16 ? 16 : 64, "' on it first"));
}

}  // namespace

Result<DiskStates> DiskStates::open(Qcow2Image& image) {
  DiskStates states(image);
  const Header& header = image.header();
  const std::string& path = image.file().path();
  if (header.snapshot_count == 0) {
    return states;
  }
  if (header.has_extended_l2()) {
    return refuse(ErrorKind::kFeatureUnsupported, path,
                  text("image '", path,
                       "' has internal snapshots and extended L2 entries (subclusters), and "
                       "writing to both is not supported; delete the snapshots first"));
  }
  BLOCKPULL_CHECK(check_refcount_width(header, path));
  BLOCKPULL_TRY(table, read_snapshot_table(image.file(), header));
  for (const Snapshot& snapshot : table.snapshots) {
    BLOCKPULL_CHECK(check_snapshot(header, snapshot, path));
    states.l1_.emplace_back(snapshot.l1_offset, snapshot.l1_entries, header.l2_entries());
  }
  return states;
}

Result<std::vector<SharedTable>> DiskStates::tables_at(std::uint64_t l1_index) const {
  std::vector<SharedTable> tables;
  std::unordered_map<std::uint64_t, std::size_t> by_offset;
  for (std::size_t state = 0; state < l1_.size(); ++state) {
    BLOCKPULL_TRY(entry, image_->tables().load(l1_[state].entry_at(l1_index)));
    const std::uint64_t offset = entry & kOffsetMask;
    const auto [place, is_new] = by_offset.try_emplace(offset, tables.size());
    if (is_new) {
      tables.push_back({offset, {}});
    }
    tables[place->second].states.push_back(state);
  }
  return tables;
}

}  // namespace blockpull::image::qcow2
