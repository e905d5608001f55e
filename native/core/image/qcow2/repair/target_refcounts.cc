// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/repair/target_refcounts.h"

#include <algorithm>

namespace blockpull::image::qcow2 {

Result<std::uint64_t> TargetRefcounts::at(std::uint64_t cluster) {
  const std::uint64_t references = counted_.count(cluster);
  const std::uint64_t counted = references - std::min(references, dropped_.count(cluster));
  if (may_lower_) {
    return counted;
  }
  BLOCKPULL_TRY(stored, stored_.at(cluster));
  // Of a block that cannot be one, nothing is known: each cluster may be in use.
  return std::max(counted, stored.value_or(1));
}

Result<bool> TargetRefcounts::has_any(ClusterRange block) {
  std::optional<std::uint64_t> used = counted_.first_in(block);
  while (used) {
    BLOCKPULL_TRY(refcount, at(*used));
    if (refcount != 0) {
      return true;
    }
    used = counted_.first_in({*used + 1, block.end() - *used - 1});
  }
  for (std::uint64_t cluster = block.first; !may_lower_ && cluster < block.end();) {
    BLOCKPULL_TRY(row, stored_.slice_of(cluster));
    if (!row.entries.empty() || !row.is_known) {
      return true;
    }
    cluster = row.clusters.end();
  }
  return false;
}

}  // namespace blockpull::image::qcow2
