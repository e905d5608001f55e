// SPDX-License-Identifier: Apache-2.0
//
// Moves pieces from backing files into the active image's file, many at a time. This is the loop:
// it takes each piece from stage to stage. The piece's way decides how its bytes travel.
//
//     enqueue ─▶ Intake ─▶ begin ─▶ fetch ─▶ Placing ─▶ deliver ─▶ finish ─▶ links
//                limit     way,     way      in order:  way        strips
//                cuts      buffer            host
//                                            clusters
//                ╰──────────────── Pacing: what may go now ──────╯
//                                  Transfers: what is in flight
//
// Fetches end in any order. Host clusters are assigned in the order of the pieces, so that
// neighbours in the guest are neighbours in the file. Nothing here touches metadata: `take_links`
// gives the links to make, only for pieces that have been written whole.
//
// Under a limit a piece is cut to what the limiter allows at once, down to strips of a cluster. A
// piece begins, and gets a buffer if its way needs one, only when the limiter allows bytes. A
// thousand slow jobs therefore hold little more than what is in flight.
//
// Thread rule: the host's thread.

#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <vector>

#include "core/image/chain.h"
#include "core/image/qcow2/link_runs.h"
#include "core/image/qcow2/refcounts.h"
#include "driver/local/move/intake.h"
#include "driver/local/move/pacing.h"
#include "driver/local/move/placing.h"
#include "driver/local/move/strips.h"
#include "driver/local/move/tally.h"
#include "driver/local/move/transfers.h"
#include "driver/local/move/ways.h"
#include "driver/plan/piece.h"
#include "job/work.h"

namespace blockpull::driver {

class Mover {
 public:
  struct Links {
    image::qcow2::LinkRuns runs;
    /// Guest bytes that the runs settle, including zeros that were left out.
    std::uint64_t guest_bytes = 0;
    /// Host clusters that were written.
    std::uint64_t clusters = 0;
  };

  /// `changed` is called when something has ended, so pump() may have more to do.
  Mover(job::Host& host, job::ProgressCounters& counters, const image::Chain& chain,
        ZeroPolicy zeros, std::function<void()> changed);
  Mover(const Mover&) = delete;
  Mover& operator=(const Mover&) = delete;

  void set_bandwidth(std::uint64_t bandwidth) { pacing_.set_bandwidth(bandwidth); }

  void enqueue(Piece piece) { intake_.enqueue(std::move(piece)); }
  /// Host clusters to write to, used in the order in which they are granted.
  void grant(image::qcow2::ClusterRange range) { placing_.grant(range); }

  /// Starts whatever can start.
  void pump();

  /// Starts nothing more; requests in flight end.
  void stop();

  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  /// Requests and blocking calls in flight.
  [[nodiscard]] std::uint64_t in_flight() const { return transfers_.in_flight(); }
  /// Nothing queued, nothing in flight.
  [[nodiscard]] bool idle() const { return intake_.empty() && moving_.empty(); }
  [[nodiscard]] std::uint64_t queued_bytes() const { return intake_.queued_bytes(); }
  /// Host clusters that the next piece needs beyond those granted; 0 if it can continue.
  [[nodiscard]] std::uint64_t missing_clusters() const { return placing_.missing_clusters(); }
  /// Bytes that have travelled, by their way.
  [[nodiscard]] const Tally& tally() const { return tally_; }
  /// What has been written since the last take_links().
  [[nodiscard]] const Links& links() const { return links_; }
  [[nodiscard]] Links take_links() { return std::exchange(links_, {}); }
  /// Host clusters that were granted but not used; for the end.
  [[nodiscard]] std::vector<image::qcow2::ClusterRange> take_unused_grants();
  /// How large the planner should make pieces at the present bandwidth: at least a cluster. They
  /// may be cut when they begin.
  [[nodiscard]] std::uint64_t piece_bytes() const;

 private:
  [[nodiscard]] bool begin_next();
  [[nodiscard]] bool find_buffer(Moving& moving);
  [[nodiscard]] bool writes_lag() const;
  [[nodiscard]] bool fetch();
  void place();
  void deliver();
  void ended(Moving& moving, Result<void> result);
  void finish(Moving& moving);
  void drop_stopped();

  job::Host& host_;
  const std::uint64_t cluster_size_;
  const std::function<void()> changed_;
  Pacing pacing_;
  Transfers transfers_;
  Tally tally_;
  Ways ways_;
  Strips strips_;
  Intake intake_;
  Placing placing_;

  /// In plan order.
  std::list<Moving> moving_;
  /// The last of them waits for its buffer with this ticket; 0 if it does not wait.
  std::uint64_t buffer_ticket_ = 0;
  Links links_;
  std::optional<Error> error_;
  bool stopped_ = false;
};

}  // namespace blockpull::driver
