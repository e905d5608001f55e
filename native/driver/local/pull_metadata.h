// SPDX-License-Identifier: Apache-2.0
//
// The part of a pull that reads and writes tables: everything that blocks, and everything that
// makes it safe.
//
//     survey   walk the plan once, to measure how much there is to move; writes nothing
//     begin    raise a trailer that is kept ─ make the image ours to write ─
//              with subclusters: let the file end with a whole cluster
//     refill   plan ahead, reserve host clusters for it
//     commit   new tables ─ flush ─ links                       (a checkpoint: every 64 MiB or 5 s)
//     complete zeros behind the end of the disk ─ release what is unused ─ flush ─
//              lower the trailer ─ new name ─ check that all files are still the same ─
//              cut the chain in the header ─ flush
//     wind_up  release, commit once more, lower the trailer, without cutting the chain:
//              cancel and failure
//
// Crash story, at any instant: everything that the header reaches is durable and has its refcount.
// Each guest cluster reads the same bytes from the chain or from its copy. The chain is cut only
// when every copy is durable. A failed flush is final: nothing is linked or written after it.
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
    /// Guest bytes of `zeros`, and those that need no work.
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

  /// Checks the active image of a target that has work, and sets the states to fill; writes
  /// nothing. kCancelled if nobody wants the pull any more.
  [[nodiscard]] static Result<std::unique_ptr<PullMetadata>> open(PullTarget& target,
                                                                  const IsWanted& is_wanted);

  /// The bytes behind the image that are kept or discarded, if any.
  [[nodiscard]] const std::optional<job::Trailing>& trailing() const { return trailing_.told; }

  /// Walks for some ms; call until `finished`.
  [[nodiscard]] Result<Totals> survey();
  [[nodiscard]] Result<void> begin();
  /// kNoSpace if not even one more cluster can be reserved.
  [[nodiscard]] Result<Refill> refill(const RefillRequest& request);
  /// kLocked if somebody has changed a layer; nothing is linked then. Sorts `links`.
  [[nodiscard]] Result<void> commit(LinkRuns& links);
  /// Everything that was moved must have been committed. kLocked if the image or a layer was
  /// replaced or changed during the pull. Returns a warning for the outcome, or an empty string.
  [[nodiscard]] Result<std::string> complete(const std::vector<ClusterRange>& unused);
  [[nodiscard]] Result<void> wind_up(LinkRuns& links, const std::vector<ClusterRange>& unused);

 private:
  PullMetadata(const PullTarget& target, image::qcow2::Allocator allocator,
               image::qcow2::HeaderEdit header_edit, TrailingFound trailing);
  [[nodiscard]] Result<void> complete_last_cluster();
  [[nodiscard]] Result<void> lower_trailer();
  [[nodiscard]] std::uint64_t end_of_image() const;
  void note_subclusters(const LinkRuns& links);
  [[nodiscard]] Result<ClusterRange> reserve_most(std::uint64_t clusters);
  [[nodiscard]] Result<std::string> clear_tail();
  [[nodiscard]] Result<void> end_links(LinkRuns& links, const std::vector<ClusterRange>& unused);
  [[nodiscard]] Result<void> give_back(const std::vector<ClusterRange>& unused);

  const PullTarget& target_;
  image::qcow2::Allocator allocator_;
  image::qcow2::LinkWriter link_writer_;
  const image::qcow2::HeaderEdit header_edit_;
  TrailingFound trailing_;
  /// Where the image ended before the pull, in clusters.
  const std::uint64_t first_end_;
  /// With subclusters: behind the last one that was linked, in bytes.
  std::uint64_t subclusters_end_ = 0;
  /// Bytes that the survey found to be needed.
  std::uint64_t bytes_to_allocate_ = 0;
  /// Only clusters that the header reaches have a refcount.
  bool is_begun_ = false;
  /// Somebody has changed a layer: copies that are not linked may be of the changed content.
  bool copies_in_doubt_ = false;
  /// Linking has failed midway, so the tables may refer to clusters that we believe to be unlinked.
  /// Nothing more is linked, and no copy is released.
  bool links_in_doubt_ = false;
  PullSurvey survey_;
  PullPlanner planner_;
};

}  // namespace blockpull::driver
