// SPDX-License-Identifier: Apache-2.0
//
// Brings a block-stream job that QEMU has to its end, without trusting QEMU's word for it.
//
//     look ─▶ running ─▶ pending ─▶ flush ─▶ finalize ─▶ concluded ─▶ flush ─▶ dismiss ─▶ completed
//              ▲  │         │ failed                        │ error
//     event,   └──┘         └─▶ cancel ─▶ concluded         └─▶ dismiss ─▶ failed, cancelled
//     0.5 s                                        not listed, nobody listens ─▶ unknown
//
// QEMU drops the backing file from the header before what it copied is durable, so a QEMU that is
// killed right after leaves an image without its data. Hence the two flushes: the first makes the
// copy durable before the header changes, the second the header before anybody is told. A QEMU or a
// process of ours that dies in between leaves the old chain, or a job that waits and is found again
// by its id. Nothing is done by halves: each step follows from the status that QEMU reports, so one
// that has been done is not missed and one whose answer was lost is tried again.
//
// An event is only a reason to look; the answer to query-block-jobs is what counts.
//
// Thread rule: the host's thread; the monitor's callbacks are posted there.

#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "core/qmp/commands.h"
#include "driver/qemu/guest_pull.h"
#include "job/work.h"

namespace blockpull::driver {

class StreamFollower : public std::enable_shared_from_this<StreamFollower> {
 public:
  /// `end` is filled when the job has completed.
  StreamFollower(std::shared_ptr<qmp::Monitor> monitor, StreamPlan plan,
                 std::shared_ptr<GuestPullEnd> end)
      : monitor_(std::move(monitor)), plan_(std::move(plan)), end_(std::move(end)) {}

  [[nodiscard]] const StreamPlan& plan() const { return plan_; }

  void start(job::Host& host, job::Board& board, std::function<void(job::Ending)> finish);
  void stop(job::Stop how);
  void set_bandwidth(std::uint64_t bytes_per_second);

 private:
  /// What the answer of a step is awaited for; while one is, no other is begun. From the last flush
  /// on the job's end has been seen, so it may be gone.
  enum class Step : std::uint8_t { kNone, kFlush, kFinalize, kCancel, kLastFlush, kDismiss, kView };

  void look();
  void look_again_later();
  void take_jobs(Result<qmp::Json> answer);
  void act(const qmp::BlockJob& job);
  void show(const qmp::BlockJob& job);
  void conclude(const qmp::BlockJob& job);
  void qemu_ended();
  void vanish(std::string_view why);
  void finish(job::Ending ending);
  [[nodiscard]] Error failure_of(const std::string& said) const;

  /// Executes `command`; its answer, or a broken connection, ends the step and is handed to `then`.
  void take_step(Step step, qmp::Command command, void (StreamFollower::*then)(Result<void>));
  void flush(Step step, void (StreamFollower::*then)(Result<void>));
  void on_step(Step step, void (StreamFollower::*then)(Result<void>), Result<void> result);
  void flushed(Result<void> result);
  void last_flushed(Result<void> result);
  void take_view(const Result<GuestView>& view);
  void dismiss();
  void dismissed(Result<void> result);
  void look_after(Result<void> result);

  /// Runs `then` on the host's thread, unless the job has ended by then.
  void post(std::function<void(StreamFollower&)> then);

  const std::shared_ptr<qmp::Monitor> monitor_;
  const StreamPlan plan_;
  const std::shared_ptr<GuestPullEnd> end_;

  /// Guards host_ against callbacks of the monitor, which may come when the job has ended and the
  /// host is no more; the host's own thread, the only one to set it, reads it without.
  std::mutex mutex_;
  /// Null before the start and after the end.
  job::Host* host_ = nullptr;

  job::Board* board_ = nullptr;
  std::function<void(job::Ending)> finish_;
  std::uint64_t listener_ = 0;
  std::uint64_t timer_ = 0;
  bool asking_ = false;
  bool ask_again_ = false;
  Step step_ = Step::kNone;
  std::optional<job::Stop> stop_;
  /// The first flush failed: the job is cancelled, and fails with this.
  std::optional<Error> flush_error_;
  /// What is told once the job is dismissed.
  job::Ending ending_;
};

}  // namespace blockpull::driver
