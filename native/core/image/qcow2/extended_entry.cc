// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/extended_entry.h"

#include "core/base/bytes.h"

namespace blockpull::image::qcow2 {

std::optional<ExtendedEntry> linked_entry(const ExtendedEntry& old, const LinkRun& run,
                                          std::uint64_t index, std::uint32_t cluster_bits) {
  const Subclusters had(old.bitmap);
  const Subclusters gets(run.bitmap);
  const std::uint64_t host = (run.host_cluster + index) << cluster_bits;
  const bool is_host_right =
      run.zero || (run.in_place ? (old.word & kOffsetMask) == host : !old.has_host());
  const bool are_missing = ((gets.allocated() | gets.zero()) & ~had.missing()) == 0;
  if (old.is_compressed() || !is_host_right || !are_missing) {
    return std::nullopt;
  }
  ExtendedEntry entry{run.takes_clusters() ? host | kCopied : old.word, old.bitmap | run.bitmap};
  return Subclusters(entry.bitmap).is_sound(entry.has_host()) ? std::optional(entry) : std::nullopt;
}

ExtendedEntry load_extended(std::span<const std::byte> entry) {
  return {be_at<std::uint64_t>(entry, 0), be_at<std::uint64_t>(entry, kEntryBytes)};
}

void store_extended(std::span<std::byte> entry, const ExtendedEntry& value) {
  put_be_at<std::uint64_t>(entry, 0, value.word);
  put_be_at<std::uint64_t>(entry, kEntryBytes, value.bitmap);
}

Result<ExtendedEntry> find_extended(Qcow2Image& image, std::uint64_t guest_cluster) {
  const L1Table l1 = image.l1_table();
  const std::uint64_t index = l1.index_of(guest_cluster);
  BLOCKPULL_TRY(l1_entry, image.tables().load(l1.entry_at(index)));
  const std::uint64_t table = l1_entry & kOffsetMask;
  if (table == 0) {
    return ExtendedEntry{};
  }
  const std::uint64_t slot = guest_cluster - l1.first_cluster(index);
  BLOCKPULL_TRY(view, image.tables().view(table + slot * kExtendedEntryBytes));
  return load_extended(view);
}

}  // namespace blockpull::image::qcow2
