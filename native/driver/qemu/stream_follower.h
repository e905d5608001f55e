// SPDX-License-Identifier: Apache-2.0
//
// Brings a block-stream job that QEMU has to its end, without trusting QEMU's word for it.
//
//     look ─▶ running ─▶ pending ─▶ prepare ─▶ look ─▶ finalize ─▶ ended ─▶ confirm ─▶ completed
//      ▲ ▲     ▲  │         ▲          │                  │          └─ error ─▶ failed, cancelled
//      │ │     └──┘ news,   └──────────┤ lacks            └─ gone ─▶ does the chain show it?
//      │ │          0.5 s              ▼                                        └─ no ─▶ unknown
//      │ └── begun again ◀── cancelled
//      └──── a migration: paused, until the guest runs here again
//
// QEMU drops the backing file from the header before what it copied is durable, so a QEMU that is
// killed right after leaves an image without its data. Hence two flushes (stream_conclusion.h). A
// QEMU or a process of ours that dies in between leaves the old chain and a job that waits, or a
// whole image.
//
// A guest that is migrated or saved makes QEMU skip what it should write (inactive_watch.h). A job
// that ran then, or whose content lacks something, is cancelled and begun again.
//
// What a step follows from is what QEMU lists, or the event of the job's end (job_watch.h); any
// other event is only a reason to look. A step whose answer was lost with the connection is tried
// again. A job that is listed no more, and whose end was not heard, was done only if we had it
// finalized and the chain has changed.
//
// Thread rule: the host's thread; the monitor's callbacks are posted there.

#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "core/qmp/commands.h"
#include "driver/qemu/guest_pull.h"
#include "driver/qemu/job_hold.h"
#include "driver/qemu/job_look.h"
#include "driver/qemu/job_requests.h"
#include "driver/qemu/stream_cancels.h"
#include "driver/qemu/stream_conclusion.h"
#include "job/work.h"

namespace blockpull::driver::qemu {

class StreamFollower : public std::enable_shared_from_this<StreamFollower> {
 public:
  /// `end` is filled when the job has completed.
  StreamFollower(std::shared_ptr<qmp::Monitor> monitor, StartedStream stream,
                 std::shared_ptr<GuestPullEnd> end)
      : monitor_(std::move(monitor)),
        plan_(std::move(stream.plan)),
        watch_(std::move(stream.watch)),
        end_(std::move(end)),
        hold_(plan_.state, plan_.was_there) {}

  [[nodiscard]] const StreamPlan& plan() const { return plan_; }

  void start(job::Host& host, job::Board& board, std::function<void(job::Ending)> finish);
  void stop(job::Stop how);
  /// `told`, if there is one, hears what QEMU says to it. Before start() it is the limit that the
  /// job was started with, and where there is nothing to do there is nothing to limit.
  void set_bandwidth(std::uint64_t bytes_per_second, std::function<void(Result<void>)> told);
  void resume(std::function<void(Result<void>)> told);
  void fail_rather_than_stop();

 private:
  /// What is awaited; while something is, nothing else is begun.
  enum class Step : std::uint8_t {
    kNone,
    kPause,
    kResume,
    kPrepare,
    kFinalize,
    kCancel,
    kCheck,
    kConfirm,
    kBegin,
  };
  using Then = void (StreamFollower::*)(Result<void>);

  void listen();
  void look();
  void look_again_later();
  void take_look(const Result<JobLook>& look);
  void take_missing();
  void act(const qmp::BlockJob& job);
  [[nodiscard]] bool cancel_if_unwanted(bool is_pending);
  void conclude();
  void prepared(Preparation preparation);
  void confirm();
  void confirmed(const Result<Confirmation>& confirmation);
  void begin_again(bool has_begun);
  void begun_again(const Result<std::shared_ptr<JobWatch>>& begun);
  void pause_answered(Result<void> result);
  void resume_answered(Result<void> result);
  void look_after(Result<void> result);
  void cancel_answered(Result<void> result);
  void take_end(const JobEnd& end);
  void qemu_ended();
  void check_chain();
  void fail(Error error);
  void finish(job::Ending ending);

  /// Begins a step; its answer, or a broken connection, ends it and is handed to `then`.
  void execute(Step step, qmp::Command command, Then then);
  void end_step(Step step, Then then, Result<void> result);
  /// Begins what somebody asked for beside the steps; `told`, if there is one, hears the answer.
  void request(qmp::Command command, std::function<void(Result<void>)> told);
  void request_answered();
  /// Runs `then` on the host's thread, unless the job has ended by then.
  void post(std::function<void(StreamFollower&)> then);
  /// A callback that goes on with `then` there, and with what it is told.
  [[nodiscard]] std::function<void()> posted(void (StreamFollower::*then)()) {
    return [weak = weak_from_this(), then] {
      if (const auto self = weak.lock()) {
        self->post([then](StreamFollower& f) { (f.*then)(); });
      }
    };
  }
  template <typename T>
  [[nodiscard]] std::function<void(Result<T>)> posted(
      void (StreamFollower::*then)(const Result<T>&)) {
    return [weak = weak_from_this(), then](Result<T> told) {
      if (const auto self = weak.lock()) {
        self->post([told = std::move(told), then](StreamFollower& f) { (f.*then)(told); });
      }
    };
  }

  /// Leaves the job to QEMU, once what was asked of it is answered: who sets a speed or cancels and
  /// then closes has set it, or cancelled.
  void leave_when_answered();
  void leave();
  /// Who aborts, or leaves, waits no longer for a QEMU that does not answer.
  void stop_waiting_if_silent();

  const std::shared_ptr<qmp::Monitor> monitor_;
  const StreamPlan plan_;
  std::shared_ptr<JobWatch> watch_;
  const std::shared_ptr<GuestPullEnd> end_;

  /// Guards host_ against callbacks of the monitor, which may come when the job has ended and the
  /// host is no more; the host's own thread, the only one to set it, reads it without.
  std::mutex mutex_;
  /// Null before the start and after the end.
  job::Host* host_ = nullptr;

  job::Board* board_ = nullptr;
  std::function<void(job::Ending)> finish_;
  std::uint64_t timer_ = 0;
  std::uint64_t patience_timer_ = 0;
  bool asking_ = false;
  Step step_ = Step::kNone;
  JobHold hold_;
  std::shared_ptr<StreamConclusion> conclusion_;
  /// Nothing lacks, and all is flushed: the header may change.
  bool is_ready_ = false;
  /// The limit in force, as QEMU tells it.
  std::uint64_t bytes_per_second_ = 0;
  /// The limit that the job was last begun again with.
  std::uint64_t begun_with_ = 0;
  /// From then on the job may have been done although nobody has heard of its end.
  bool finalize_sent_ = false;
  /// The job was seen to conclude without an error; it is to be confirmed.
  bool done_ = false;
  /// It was cancelled, and waits to be begun again.
  bool is_between_ = false;
  /// It was begun again because something lacked.
  bool was_again_for_lack_ = false;
  Unwanted unwanted_;
  Cancels cancels_;
  bool is_leaving_ = false;
  JobRequests requests_;
  bool fails_rather_than_stops_ = false;
};

}  // namespace blockpull::driver::qemu
