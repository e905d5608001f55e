// SPDX-License-Identifier: Apache-2.0
//
// Brings a block job of QEMU to an end that lasts, without trusting QEMU's word for it.
//
//     poll ─▶ running ─▶ pending ─▶ prepare ─▶ poll ─▶ finalize ─▶ ended ─▶ confirm ─▶ completed
//      ▲ ▲     ▲  │         ▲          │                  │          └─ error ─▶ failed, cancelled
//      │ │     └──┘ event,  └──────────┤ lacks            └─ gone ─▶ was it done?
//      │ │          0.5 s              ▼                                  └─ no ─▶ unknown
//      │ └──── restarted ◀──── cancelled
//      └──── a migration: paused, until the guest runs here again
//
// The kind of job decides what to prepare and to confirm (job_operations.h); the order is the same
// for all. QEMU changes the header before the copied data is durable, so a QEMU that is killed
// right after leaves an image without its data. Hence there is a flush before the change and one
// after it. If QEMU or this process dies between the two, the next open sees the old chain and a
// job that waits, or a whole image.
//
// QEMU skips writes while its guest is migrated or saved (inactive_watch.h). A job that ran then,
// or that did not copy everything, is cancelled and restarted.
//
// Steps follow from QEMU's list of jobs and from the event of the job's end (job_watch.h). Any
// other event only triggers a poll. A step whose answer was lost with the connection is tried
// again. If a job is no longer listed and nobody heard of its end, it counts as done only if we had
// finalized it and the disk shows it.
//
// Thread rule: the host's thread; the monitor's callbacks are posted there.

#pragma once

#include <memory>
#include <optional>

#include "core/qmp/commands.h"
#include "driver/qemu/host_calls.h"
#include "driver/qemu/job_cancels.h"
#include "driver/qemu/job_hold.h"
#include "driver/qemu/job_operations.h"
#include "driver/qemu/job_plan.h"
#include "driver/qemu/job_poll.h"
#include "driver/qemu/job_requests.h"
#include "job/work.h"

namespace blockpull::driver::qemu {

class JobTracker final : public job::Work, public std::enable_shared_from_this<JobTracker> {
 public:
  /// Makes the operations of the job's kind, once its host is known.
  using MakeOperations = std::function<std::shared_ptr<JobOperations>(
      job::Host& host, const std::shared_ptr<HostCalls>& calls)>;

  /// `watch` was opened before QEMU was asked for the job.
  JobTracker(std::shared_ptr<qmp::Monitor> monitor, JobPlan plan, std::shared_ptr<JobWatch> watch,
             MakeOperations make_operations)
      : monitor_(std::move(monitor)),
        plan_(std::move(plan)),
        watch_(std::move(watch)),
        make_operations_(std::move(make_operations)),
        hold_(plan_.state, plan_.was_there) {}

  [[nodiscard]] job::Kind kind() const override { return plan_.kind; }
  [[nodiscard]] std::uint64_t total() const override { return plan_.virtual_size; }

  void start(job::Host& host, job::ProgressCounters& counters,
             std::function<void(job::Ending)> done) override;
  void stop(job::Stop how) override;
  /// Before start() the limit is the one that the job was started with, so nothing is sent. Without
  /// work there is nothing to limit.
  void set_bandwidth(std::uint64_t bandwidth) override { try_bandwidth(bandwidth, {}); }
  void try_bandwidth(std::uint64_t bandwidth, std::function<void(Result<void>)> done) override;
  void resume(std::function<void(Result<void>)> done) override;
  void fail_rather_than_stop() override;

 private:
  /// The step whose answer is due; until it comes, no other step starts.
  enum class Step : std::uint8_t {
    kNone,
    kPause,
    kResume,
    kPrepare,
    kFinalize,
    kCancel,
    kAskIfDone,
    kConfirm,
    kRestart,
  };
  using Next = void (JobTracker::*)(Result<void>);

  void listen();
  void poll();
  void poll_later();
  void take_poll(const Result<PolledJobs>& polled);
  void take_missing();
  void act(const qmp::BlockJob& job);
  [[nodiscard]] bool cancel_if_unwanted(bool is_pending);
  void conclude();
  void take_preparation(Preparation preparation);
  void confirm();
  void take_confirmation(const Result<Confirmation>& confirmation);
  void restart(bool has_begun);
  void take_restart(const Result<std::shared_ptr<JobWatch>>& restarted);
  void pause_answered(Result<void> result);
  void resume_answered(Result<void> result);
  void poll_after(Result<void> result);
  void cancel_answered(Result<void> result);
  void take_end(const JobEnd& end);
  void qemu_ended();
  void ask_if_done();
  void fail(Error error);
  void finish(job::Ending ending);

  /// Starts a step. Its answer, or a broken connection, ends it and is passed to `next`.
  void execute(Step step, qmp::Command command, Next next);
  void end_step(Step step, Next next, Result<void> result);
  /// Sends a caller's request beside the steps; `done`, if set, gets the answer.
  void request(qmp::Command command, std::function<void(Result<void>)> done);
  void request_answered();

  /// Leaves the job to QEMU once all requests are answered. So a caller may set a limit or cancel,
  /// close at once, and be sure that QEMU has received it.
  void leave_when_answered();
  void leave();
  /// An abort or a close does not wait for a QEMU that does not answer.
  void stop_waiting_if_silent();

  const std::shared_ptr<qmp::Monitor> monitor_;
  const JobPlan plan_;
  std::shared_ptr<JobWatch> watch_;
  const MakeOperations make_operations_;

  /// Null before the start and after the end.
  job::Host* host_ = nullptr;
  std::shared_ptr<HostCalls> calls_;
  std::shared_ptr<JobOperations> operations_;

  job::ProgressCounters* counters_ = nullptr;
  std::function<void(job::Ending)> done_;
  std::uint64_t poll_timer_ = 0;
  std::uint64_t patience_timer_ = 0;
  bool is_polling_ = false;
  Step step_ = Step::kNone;
  JobHold hold_;
  /// Nothing is missing, and everything is flushed: the header may change.
  bool is_ready_ = false;
  /// The limit in force, as QEMU reports it.
  std::uint64_t bandwidth_ = 0;
  /// The limit that the job was last restarted with.
  std::uint64_t restarted_with_ = 0;
  /// From now on the job may have completed although nobody has heard of its end.
  bool finalize_sent_ = false;
  /// The job concluded without an error and must be confirmed.
  bool has_concluded_ = false;
  /// The job was cancelled, and waits to be restarted.
  bool awaits_restart_ = false;
  /// The job was restarted because copied bytes were missing.
  bool was_restarted_for_lack_ = false;
  CancelReason cancel_reason_;
  CancelAnswers cancels_;
  bool is_leaving_ = false;
  JobRequests requests_;
  bool fails_rather_than_stops_ = false;
};

}  // namespace blockpull::driver::qemu
