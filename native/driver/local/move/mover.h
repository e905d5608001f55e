// SPDX-License-Identifier: Apache-2.0
//
// Moves pieces from backing files into the active image's file, many at a time.
//
//     enqueue ─▶ queued ─▶ reading ─▶ inflating ─▶ ready ─▶ writing ─▶ links
//                   │                 (blocking      │          │
//                limiter,              threads)   in order:   limiter
//                buffer                           zero test,
//                                                 host clusters
//
// Reads end in any order; host clusters are given out in the order of the pieces, so that what is
// neighbouring in the guest is neighbouring in the file. A cluster that turns out to be all zeros
// takes no host cluster where leaving it out reads the same. Nothing here touches metadata:
// `take_links` tells what to link, and only what has been written whole is in it.
//
// The bandwidth limit holds for what is read and for what is written, each by a limiter of its own.
// Under a limit a piece is cut to what the limiter lets through at once, and gets its buffer when
// it may be read, not before: a thousand slow jobs hold little more than what is in flight. What is
// less than a cluster is a strip of it:
//
//     cluster   │ strip │ strip │ strip │ … │     each a piece of its own, with its own buffer
//     host      taken for the first that is not zeros; strips of zeros are not written, a cluster
//               just reserved reads as zeros
//     link      when the last strip has been written, so a crash between them leaks the cluster
//
// A cluster with compressed bytes is inflated whole, and is never cut.
//
// Thread rule: the host's thread.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "core/image/chain.h"
#include "core/image/qcow2/link_runs.h"
#include "core/image/qcow2/refcounts.h"
#include "driver/plan/piece.h"
#include "job/rate_limiter.h"
#include "job/work.h"

namespace blockpull::driver {

/// What becomes of a cluster whose bytes are all zeros.
enum class ZeroPolicy : std::uint8_t {
  /// Not linked: without a backing file an unallocated cluster reads as zeros.
  kLeaveOut,
  /// Linked as a zero cluster.
  kZeroCluster,
  /// Written like any other (version 2 over a base).
  kWrite,
};

class Mover {
 public:
  struct Links {
    image::qcow2::LinkRuns runs;
    /// Guest bytes that the runs settle, zeros that were left out included.
    std::uint64_t guest_bytes = 0;
    /// Host clusters that were written.
    std::uint64_t clusters = 0;
  };

  /// `changed` is called when something has ended and pump() may have more to do.
  Mover(job::Host& host, job::Board& board, const image::Chain& chain, ZeroPolicy zeros,
        std::function<void()> changed);
  ~Mover();
  Mover(const Mover&) = delete;
  Mover& operator=(const Mover&) = delete;

  void set_bandwidth(std::uint64_t bytes_per_second);

  void enqueue(Piece piece);
  /// Host clusters to write to, used in the order in which they come.
  void grant(image::qcow2::ClusterRange range);

  /// Starts whatever can be started.
  void pump();

  /// Starts nothing more; what is in flight ends.
  void stop();

  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  /// Requests and inflations under way.
  [[nodiscard]] std::uint64_t in_flight() const { return in_flight_; }
  /// Nothing queued, nothing under way.
  [[nodiscard]] bool idle() const { return queued_.empty() && moving_.empty(); }
  [[nodiscard]] std::uint64_t queued_bytes() const { return queued_bytes_; }
  /// Host clusters that the piece in turn wants beyond those granted; 0 when it can go on.
  [[nodiscard]] std::uint64_t missing_clusters() const { return missing_clusters_; }
  /// What has been written since the last take_links().
  [[nodiscard]] const Links& links() const { return links_; }
  [[nodiscard]] Links take_links();
  /// Granted and not used; for the end.
  [[nodiscard]] std::vector<image::qcow2::ClusterRange> take_unused_grants();
  /// What the planner is to make pieces of at the present bandwidth: at least a cluster. They may
  /// be cut when they begin.
  [[nodiscard]] std::uint64_t piece_bytes() const;

 private:
  struct Moving;
  struct ClusterInStrips;
  struct Transfer;
  using MovingList = std::list<std::unique_ptr<Moving>>;

  [[nodiscard]] bool admit();
  [[nodiscard]] bool writes_lag() const;
  [[nodiscard]] std::uint64_t next_bytes() const;
  void begin_next(std::uint64_t bytes, std::byte* buffer);
  void cut_strip(Moving& moving, std::uint64_t bytes);
  [[nodiscard]] bool issue_reads();
  [[nodiscard]] bool issue_reads_of(Moving& moving);
  void issue_compressed(Moving& moving, const Segment& segment);
  void reads_ended(Moving& moving);
  void inflate(Moving& moving);
  [[nodiscard]] Result<void> inflate_segments(const Moving& moving) const;
  void assign_in_order();
  [[nodiscard]] bool assign(Moving& moving);
  [[nodiscard]] bool assign_strip(Moving& moving);
  void place(Moving& moving, std::uint64_t cluster, std::uint64_t host_cluster);
  [[nodiscard]] std::uint64_t take_cluster();
  void issue_writes();
  [[nodiscard]] bool issue_writes_of(Moving& moving);
  void finish(Moving& moving);
  void finish_strip(Moving& moving);
  void submit(Moving& moving, io::Request request);
  void transfer_ended(Transfer& transfer, Result<void> result);
  void fail(Error error);
  void wake_at(Nanoseconds when);
  void drop_stopped();
  void take_back_clusters(const Moving& moving);
  [[nodiscard]] std::uint64_t cluster_size() const { return chain_.active().cluster_size(); }

  job::Host& host_;
  job::Board& board_;
  const image::Chain& chain_;
  const ZeroPolicy zeros_;
  const std::function<void()> changed_;
  job::RateLimiter read_limiter_;
  job::RateLimiter write_limiter_;

  std::deque<Piece> queued_;
  std::uint64_t queued_bytes_ = 0;
  /// In the order of the plan.
  MovingList moving_;
  /// Begun, and not written whole.
  std::list<ClusterInStrips> in_strips_;
  /// The one of them that the front of the queue is the rest of.
  ClusterInStrips* cutting_ = nullptr;
  std::deque<image::qcow2::ClusterRange> grants_;
  std::uint64_t granted_clusters_ = 0;
  std::uint64_t missing_clusters_ = 0;
  Links links_;
  std::uint64_t in_flight_ = 0;
  std::optional<Error> error_;
  bool stopped_ = false;
  /// Waiting for a buffer, for a limiter; 0: not.
  std::uint64_t buffer_ticket_ = 0;
  std::uint64_t timer_ticket_ = 0;
  Nanoseconds timer_at_{0};
};

}  // namespace blockpull::driver
