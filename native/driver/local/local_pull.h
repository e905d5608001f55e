// SPDX-License-Identifier: Apache-2.0
//
// The pull of a shut-off disk as a work item. It combines the mover, which never blocks, and the
// metadata, which blocks and takes one call at a time.
//
//     lane    survey ─▶ begin ─▶ refill ⇄ commit ─▶ complete ─▶ read back    one call at a time
//                                any error, stop ─▶ wind_up
//     mover                      reads and writes in parallel
//
// commit: every 64 MiB or 5 s. complete: when the plan is at its end and the mover is idle.
//
// After every event pump() examines the whole state and starts what can start; nothing else
// decides. A commit does not wait for the mover: it links what has been written when it begins.
//
// Thread rule: the host's thread.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "driver/local/move/mover.h"
#include "driver/local/pull_metadata.h"
#include "job/work.h"

namespace blockpull::driver {

class LocalPull final : public job::Work {
 public:
  /// `metadata` belongs to `target`, and is nullptr if the target has no work.
  LocalPull(std::unique_ptr<PullTarget> target, std::unique_ptr<PullMetadata> metadata);
  ~LocalPull() override;

  [[nodiscard]] job::Kind kind() const override { return job::Kind::kPull; }
  [[nodiscard]] std::uint64_t total() const override { return total_; }
  void start(job::Host& host, job::ProgressCounters& counters,
             std::function<void(job::Ending)> done) override;
  void stop(job::Stop how) override;
  void set_bandwidth(std::uint64_t bandwidth) override;

 private:
  enum class Stage : std::uint8_t { kSurvey, kBegin, kMove, kEnd };

  void pump();
  void pump_once();
  void wind_up();
  void survey();
  void begin();
  void refill();
  void commit();
  void complete();
  void sync_only();
  /// Completes only if the header, read again from the disk, states what was promised.
  void read_back();
  void warn(std::string warning);
  void finish(std::optional<Error> error);
  void fail(Error error);
  [[nodiscard]] bool wants_commit() const;
  [[nodiscard]] bool wants_refill() const;
  [[nodiscard]] std::uint64_t ahead_bytes() const;
  void collect_links();
  void add_links(LinkRuns runs, std::uint64_t clusters);
  void settle(std::uint64_t guest_bytes);

  /// Runs `work` on a blocking thread and passes its result to `done`; one at a time.
  template <typename T>
  void on_lane(std::function<Result<T>()> work, std::function<void(Result<T>)> done);

  const std::unique_ptr<PullTarget> target_;
  const std::unique_ptr<PullMetadata> metadata_;
  /// The virtual size.
  const std::uint64_t total_;
  job::Host* host_ = nullptr;
  job::ProgressCounters* counters_ = nullptr;
  std::function<void(job::Ending)> done_;
  std::unique_ptr<Mover> mover_;
  std::uint64_t bandwidth_ = 0;

  Stage stage_ = Stage::kSurvey;
  bool lane_busy_ = false;
  bool pumping_ = false;
  bool pump_again_ = false;
  bool plan_at_end_ = false;
  std::optional<job::Stop> stop_;
  std::optional<Error> error_;
  /// The header was read back after the last flush.
  bool is_verified_ = false;
  /// Reported by a pull that completes.
  std::vector<std::string> warnings_;

  /// Written but not linked yet: the runs, their clusters, and the time of the first.
  LinkRuns links_;
  std::uint64_t link_clusters_ = 0;
  Nanoseconds links_since_{0};
};

}  // namespace blockpull::driver
