// SPDX-License-Identifier: Apache-2.0
//
// The part of a pull that reads and writes tables: everything that blocks, and all that makes it
// safe.
//
//     survey   walk the plan once, to know how much there is to move; nothing is written yet
//     begin    raise a trailer that is kept ─ make the image ours to write
//     refill   plan ahead, reserve host clusters for it
//     commit   new tables ─ flush ─ links                       (a checkpoint: every 64 MiB or 5 s)
//     complete zeros behind the end of the disk ─ give back what is unused ─ flush ─
//              lower the trailer ─ new name ─ look whether all files are what they were ─
//              cut the chain in the header ─ flush
//     wind_up  give back, commit once more, lower the trailer, without cutting the chain:
//              cancel and failure
//
// Crash story, whatever the instant: what the header reaches is durable and counted; each guest
// cluster reads the same bytes from the chain or from its copy; the chain is cut only when every
// copy is durable. A flush that fails is final: nothing is linked after it, and nothing is written
// any more.
//
// Thread rule: one call at a time, on a thread that may block.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/image/qcow2/allocator.h"
#include "core/image/qcow2/header_edit.h"
#include "core/image/qcow2/link_writer.h"
#include "driver/plan/pull_planner.h"
#include "driver/plan/pull_survey.h"
#include "driver/plan/pull_target.h"

namespace blockpull::driver {

using image::qcow2::ClusterRange;
using image::qcow2::LinkRuns;

class PullMetadata {
 public:
  using Totals = PullSurvey::Totals;

  struct Refill {
    std::vector<Piece> pieces;
    std::vector<ClusterRange> grants;
    LinkRuns zeros;
    std::uint64_t zero_clusters = 0;
    /// Guest bytes of `zeros`, and of what the plan found to need nothing.
    std::uint64_t settled = 0;
    bool at_end = false;
  };

  struct RefillRequest {
    std::uint64_t piece_bytes = 0;
    /// Bytes to plan ahead.
    std::uint64_t ahead_bytes = 0;
    /// Clusters to reserve beyond what the new pieces need.
    std::uint64_t missing_clusters = 0;
  };

  /// Judges the active image of a target that has work; writes nothing. kCancelled where nobody
  /// wants it any more.
  [[nodiscard]] static Result<std::unique_ptr<PullMetadata>> open(const PullTarget& target,
                                                                  const IsWanted& is_wanted);

  /// What lies behind the image and is kept or discarded, if anything.
  [[nodiscard]] const std::optional<job::Trailing>& trailing() const { return trailing_.told; }

  /// Walks on for some ms; to be called until `finished`.
  [[nodiscard]] Result<Totals> survey();
  [[nodiscard]] Result<void> begin();
  /// kNoSpace when not one more cluster can be had.
  [[nodiscard]] Result<Refill> refill(const RefillRequest& request);
  /// kLocked: somebody has changed a layer; nothing is linked then. Sorts `links`.
  [[nodiscard]] Result<void> commit(LinkRuns& links);
  /// Everything that was moved must have been committed. kLocked when the image or a layer was
  /// replaced or changed meanwhile. Gives a warning for the outcome, or an empty one.
  [[nodiscard]] Result<std::string> complete(const std::vector<ClusterRange>& unused);
  [[nodiscard]] Result<void> wind_up(LinkRuns& links, const std::vector<ClusterRange>& unused);

 private:
  PullMetadata(const PullTarget& target, image::qcow2::Allocator allocator,
               image::qcow2::HeaderEdit header_edit, TrailingFound trailing);
  [[nodiscard]] Result<void> lower_trailer();
  [[nodiscard]] Result<ClusterRange> reserve_most(std::uint64_t clusters);
  [[nodiscard]] Result<std::string> clear_tail();
  [[nodiscard]] Result<void> end_links(LinkRuns& links, const std::vector<ClusterRange>& unused);
  [[nodiscard]] Result<void> give_back(const std::vector<ClusterRange>& unused);

  const PullTarget& target_;
  image::qcow2::Allocator allocator_;
  image::qcow2::LinkWriter link_writer_;
  const image::qcow2::HeaderEdit header_edit_;
  TrailingFound trailing_;
  /// Where the image ended at first, in clusters.
  const std::uint64_t first_end_;
  /// Bytes that the survey has found to be needed.
  std::uint64_t bytes_to_allocate_ = 0;
  /// Nothing but what the header reaches has a refcount.
  bool is_begun_ = false;
  /// Somebody has changed a layer: what was copied and not linked may be of that.
  bool copies_in_doubt_ = false;
  /// Linking has failed midway: the tables may refer to clusters that we believe unlinked. Nothing
  /// more is linked then, and no copy given back.
  bool links_in_doubt_ = false;
  PullSurvey survey_;
  PullPlanner planner_;
};

}  // namespace blockpull::driver
