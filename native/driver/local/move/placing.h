// SPDX-License-Identifier: Apache-2.0
//
// Assigns host clusters to what has been fetched. They are used in the order of the grants, and the
// pieces come in their own order, so neighbours in the guest are neighbours in the file.
//
//     piece    │ c7 │ c8 zeros │ c30 │        granted: h40 h41 h42 …
//     places   │ ▸ h40 │ left out │ ▸ h41 │   neighbours in both are one place
//     links    (c7 ▸ h40) (c30 ▸ h41)         and (c8 zeros), where the policy says so
//
// A cluster of zeros takes no host cluster if leaving it out reads the same.
//
// If the image has subclusters, the same holds for each one that is to be written
// (`subcluster_plan.h`). A cluster that has a host cluster keeps it, and only what is missing gets
// a place there.

#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "core/image/qcow2/refcounts.h"
#include "core/image/qcow2/subclusters.h"
#include "driver/local/move/moving.h"
#include "driver/local/move/zero_policy.h"

namespace blockpull::driver {

class Placing {
 public:
  Placing(std::uint64_t cluster_size, ZeroPolicy zeros)
      : cluster_size_(cluster_size), zeros_(zeros) {}

  void grant(image::qcow2::ClusterRange range);
  /// Host clusters that the next piece needs beyond those granted; 0 if it can continue.
  [[nodiscard]] std::uint64_t missing_clusters() const { return missing_clusters_; }
  void forget_missing() { missing_clusters_ = 0; }

  /// For a fetched piece. False, with nothing taken, if host clusters are missing.
  [[nodiscard]] bool place(Moving& moving);

  /// Returns the host clusters of a piece that will not be linked, whatever has been written to
  /// them.
  void take_back(const Moving& moving);
  [[nodiscard]] std::vector<image::qcow2::ClusterRange> take_unused();

 private:
  [[nodiscard]] bool place_strip(Moving& moving);
  [[nodiscard]] bool place_fills(Moving& moving);
  [[nodiscard]] image::qcow2::Subclusters becomes(const Moving& moving,
                                                  std::uint64_t cluster) const;
  void place_fill(Moving& moving, std::uint64_t cluster, std::uint64_t guest_cluster,
                  image::qcow2::Subclusters becomes);
  [[nodiscard]] bool are_granted(std::uint64_t wanted);
  [[nodiscard]] bool is_left_out(const Moving& moving, std::uint64_t offset,
                                 std::uint64_t length) const;
  void place_clusters(Moving& moving, const std::vector<bool>& left_out);
  static void add_place(Moving& moving, const Place& added);
  [[nodiscard]] std::uint64_t take_cluster();

  const std::uint64_t cluster_size_;
  const ZeroPolicy zeros_;
  std::deque<image::qcow2::ClusterRange> grants_;
  /// Clusters in `grants_`.
  std::uint64_t granted_clusters_ = 0;
  std::uint64_t missing_clusters_ = 0;
};

}  // namespace blockpull::driver
