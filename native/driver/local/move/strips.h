// SPDX-License-Identifier: Apache-2.0
//
// Clusters that are moved in strips, because the limit allows less than a cluster at once.
//
//     cluster   │ strip │ strip │ strip │ … │     each a piece of its own, with its own buffer
//     host      assigned for the first strip that is not zeros; strips of zeros are not written,
//               since a newly reserved cluster reads as zeros
//     link      when the last strip has been written, so a crash before that leaks the cluster

#pragma once

#include <cstdint>
#include <list>
#include <vector>

#include "core/image/qcow2/refcounts.h"
#include "driver/local/move/moving.h"
#include "driver/local/move/zero_policy.h"

namespace blockpull::driver {

class Strips {
 public:
  explicit Strips(ZeroPolicy zeros) : zeros_(zeros) {}

  /// Begins with the one cluster of `whole`, of which no strip has been cut yet.
  [[nodiscard]] ClusterInStrips& begin(const Piece& whole);

  /// A strip is in the file, or need not be. The last strip carries the link of its cluster.
  void end(Moving& strip);

  /// Host clusters of unfinished clusters; forgets those.
  [[nodiscard]] std::vector<image::qcow2::ClusterRange> take_unlinked();

 private:
  const ZeroPolicy zeros_;
  std::list<ClusterInStrips> begun_;
};

}  // namespace blockpull::driver
