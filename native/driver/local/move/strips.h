// SPDX-License-Identifier: Apache-2.0
//
// Clusters that are moved in strips, because the limit lets less than a cluster through at once.
//
//     cluster   │ strip │ strip │ strip │ … │     each a piece of its own, with its own buffer
//     host      taken for the first that is not zeros; strips of zeros are not written, a cluster
//               just reserved reads as zeros
//     link      when the last strip has been written, so a crash between them leaks the cluster

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

  /// The one cluster of `whole`, of which no strip has been cut off yet.
  [[nodiscard]] ClusterInStrips& begin(const Piece& whole);

  /// A strip is in the file, or needs not be; the last one has the link of its cluster with it.
  void end(Moving& strip);

  /// Host clusters of those that were begun and not ended, which are forgotten.
  [[nodiscard]] std::vector<image::qcow2::ClusterRange> take_unlinked();

 private:
  const ZeroPolicy zeros_;
  std::list<ClusterInStrips> begun_;
};

}  // namespace blockpull::driver
