// SPDX-License-Identifier: Apache-2.0
//
// The refcount that a repair gives to each host cluster:
//
//     the references that were counted       if everything in the image is understood
//     or the stored refcount, if larger      if not: an entry that cannot be right, or an unknown
//                                            feature, may mean the cluster, so nothing is freed
//
// Thread rule: one thread at a time, and it may block.

#pragma once

#include <algorithm>
#include <cstdint>

#include "core/image/qcow2/check/stored_refcounts.h"
#include "core/image/qcow2/references.h"

namespace blockpull::image::qcow2 {

class TargetRefcounts {
 public:
  /// `may_lower`: everything in the image is understood. All arguments must outlive this.
  TargetRefcounts(const ReferenceMap& counted, StoredRefcounts& stored, bool may_lower)
      : counted_(counted), stored_(stored), may_lower_(may_lower) {}

  [[nodiscard]] bool may_lower() const { return may_lower_; }

  [[nodiscard]] Result<std::uint64_t> at(std::uint64_t cluster);

  /// Whether any cluster of one refcount block may have a refcount that is not 0.
  [[nodiscard]] Result<bool> has_any(ClusterRange block);

  /// One past the last cluster that has a reference, or that is in the file.
  [[nodiscard]] std::uint64_t end() const {
    return std::max(counted_.end(), stored_.file_clusters());
  }

  /// The reference of a table that a repair replaces, once it is replaced: one less than counted.
  [[nodiscard]] Result<void> drop(std::uint64_t cluster) {
    return dropped_.add(cluster, 1, "a refcount block");
  }

 private:
  const ReferenceMap& counted_;
  StoredRefcounts& stored_;
  const bool may_lower_;
  ReferenceMap dropped_;
};

}  // namespace blockpull::image::qcow2
