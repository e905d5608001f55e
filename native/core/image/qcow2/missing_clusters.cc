// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/missing_clusters.h"

#include <algorithm>

#include "core/base/bytes.h"
#include "core/image/qcow2/l2_entry.h"

namespace blockpull::image::qcow2 {

Result<MissingClusters::Run> MissingClusters::at(std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t cluster_size = image_.cluster_size();
  const L1Table& l1 = states_.l1(0);
  const std::uint64_t cluster = offset / cluster_size;
  const std::uint64_t index = l1.index_of(cluster);
  if (index != l1_index_) {
    BLOCKPULL_CHECK(read(index));
  }
  const auto first =
      missing_.begin() + static_cast<std::ptrdiff_t>(cluster - l1.first_cluster(index));
  const auto end = std::find(first, missing_.end(), !*first);
  const auto clusters = static_cast<std::uint64_t>(end - first);
  return Run{*first, std::min(length, clusters * cluster_size)};
}

Result<void> MissingClusters::read(std::uint64_t l1_index) {
  l1_index_ = std::numeric_limits<std::uint64_t>::max();
  missing_.assign(image_.header().l2_entries(), false);
  BLOCKPULL_TRY(tables, states_.tables_at(l1_index));
  for (const SharedTable& table : tables) {
    if (table.offset == 0) {
      missing_.assign(missing_.size(), true);
    } else {
      BLOCKPULL_CHECK(read_table(table.offset));
    }
  }
  l1_index_ = l1_index;
  return {};
}

Result<void> MissingClusters::read_table(std::uint64_t offset) {
  for (std::uint64_t index = 0; index < missing_.size();) {
    BLOCKPULL_TRY(view, image_.tables().view(offset + index * kEntryBytes));
    const std::uint64_t end =
        std::min<std::uint64_t>(missing_.size(), index + view.size() / kEntryBytes);
    for (std::uint64_t at = 0; index < end; ++index, at += kEntryBytes) {
      if (is_absent(be_at<std::uint64_t>(view, at))) {
        missing_[index] = true;
      }
    }
  }
  return {};
}

}  // namespace blockpull::image::qcow2
