// SPDX-License-Identifier: Apache-2.0
//
// Brings a block-stream job that QEMU has to its end, without trusting QEMU's word for it.
//
//     look ─▶ running ─▶ pending ─▶ flush ─▶ finalize ─▶ ended ─▶ flush ─▶ view ─▶ completed
//              ▲  │         │ failed              │        ├─ with an error ─▶ failed, cancelled
//     news,    └──┘         └─▶ cancel ─▶ ended   │        │
//     0.5 s                                       └─▶ gone ┴─ does the chain show it? ─▶ unknown
//
// A job that was started so stops when a read or a write fails, and runs again when somebody
// resumes it; nobody does so here, but what it waits for is shown.
//
// QEMU drops the backing file from the header before what it copied is durable, so a QEMU that is
// killed right after leaves an image without its data. Hence the two flushes: the first makes the
// copy durable before the header changes, the second the header before anybody is told. A QEMU or a
// process of ours that dies in between leaves the old chain and a job that waits, or a whole image.
//
// What a step follows from is what QEMU lists, or the event of the job's end (job_watch.h); any
// other event is only a reason to look. So a step that was done is not missed, and one whose answer
// was lost with the connection is tried again. A job that is listed no more, and whose end was not
// heard, was done only if we had it finalized and the chain has changed.
//
// A cancel that QEMU refuses is tried again at the next look. A job that is refused it for good
// goes on to its end rather than wait at pending, and the end carries a warning.
//
// Thread rule: the host's thread; the monitor's callbacks are posted there.

#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "core/qmp/commands.h"
#include "driver/qemu/guest_pull.h"
#include "driver/qemu/guest_view.h"
#include "job/work.h"

namespace blockpull::driver {

class StreamFollower : public std::enable_shared_from_this<StreamFollower> {
 public:
  /// `end` is filled when the job has completed.
  StreamFollower(std::shared_ptr<qmp::Monitor> monitor, StartedStream stream,
                 std::shared_ptr<GuestPullEnd> end)
      : monitor_(std::move(monitor)),
        plan_(std::move(stream.plan)),
        watch_(std::move(stream.watch)),
        end_(std::move(end)) {}

  [[nodiscard]] const StreamPlan& plan() const { return plan_; }

  void start(job::Host& host, job::Board& board, std::function<void(job::Ending)> finish);
  void stop(job::Stop how);
  /// `told`, if there is one, hears what QEMU says to it.
  void set_bandwidth(std::uint64_t bytes_per_second, std::function<void(Result<void>)> told);
  void resume(std::function<void(Result<void>)> told);
  void fail_rather_than_stop();

 private:
  /// What is awaited; while something is, nothing else is begun.
  enum class Step : std::uint8_t { kNone, kFlush, kFinalize, kCancel, kCheck, kLastFlush, kView };
  using Then = void (StreamFollower::*)(Result<void>);

  /// Why the job is to be cancelled, if it is, and what that ends it with.
  struct Unwanted {
    /// Somebody aborts it.
    bool is_aborted = false;
    /// The first flush failed. What was copied may be lost for good, so it must not complete.
    std::optional<Error> flush_error;
    /// It had stopped on an error where it should fail. It may complete if it goes on after all.
    std::optional<Error> stop_error;

    [[nodiscard]] bool is_so() const { return is_aborted || flush_error || stop_error; }
    /// Absent where it was only aborted.
    [[nodiscard]] const std::optional<Error>& failure() const {
      return flush_error ? flush_error : stop_error;
    }
  };

  /// What QEMU has said to our cancels.
  struct Cancels {
    bool is_answered = false;
    std::uint32_t refused = 0;
    /// QEMU's words for the last one.
    std::string refusal;

    /// The job cannot be cancelled, whoever wants it.
    [[nodiscard]] bool are_in_vain() const;
  };

  void look();
  void look_again_later();
  void take_jobs(const Result<qmp::Json>& answer);
  void act(const qmp::BlockJob& job);
  void show(const qmp::BlockJob& job);
  void take_end(const JobEnd& end);
  void qemu_ended();
  void check_chain();
  void last_flush();
  void vanish(std::string_view why);
  void finish(std::optional<Error> error);
  [[nodiscard]] Error failure_of(ErrorKind kind, std::string_view said) const;
  [[nodiscard]] bool shows_new_chain(const GuestView& view) const;

  /// Begins a step; its answer, or a broken connection, ends it and is handed to `then`.
  void execute(Step step, qmp::Command command, Then then);
  void flush(Step step, Then then);
  void view(Step step, void (StreamFollower::*then)(const Result<GuestView>&));
  void end_step(Step step, Then then, Result<void> result);
  void flushed(Result<void> result);
  void look_after(Result<void> result);
  void cancel_answered(Result<void> result);
  void last_flushed(Result<void> result);
  void chain_checked(const Result<GuestView>& view);
  void chain_viewed(const Result<GuestView>& view);

  /// Begins what somebody asked for beside the steps; `told`, if there is one, hears the answer.
  void request(qmp::Command command, std::function<void(Result<void>)> told);

  /// Runs `then` on the host's thread, unless the job has ended by then.
  void post(std::function<void(StreamFollower&)> then);

  /// Leaves the job to QEMU, once what was asked of it is answered: who sets a speed or cancels and
  /// then closes has set it, or cancelled.
  void leave_when_answered();
  void leave();

  const std::shared_ptr<qmp::Monitor> monitor_;
  const StreamPlan plan_;
  const std::shared_ptr<JobWatch> watch_;
  const std::shared_ptr<GuestPullEnd> end_;

  /// Guards host_ against callbacks of the monitor, which may come when the job has ended and the
  /// host is no more; the host's own thread, the only one to set it, reads it without.
  std::mutex mutex_;
  /// Null before the start and after the end.
  job::Host* host_ = nullptr;

  job::Board* board_ = nullptr;
  std::function<void(job::Ending)> finish_;
  std::uint64_t timer_ = 0;
  bool asking_ = false;
  Step step_ = Step::kNone;
  /// From then on the job may have been done although nobody has heard of its end.
  bool finalize_sent_ = false;
  /// The job was seen to conclude without an error; the last flush is due.
  bool done_ = false;
  Unwanted unwanted_;
  Cancels cancels_;
  bool is_leaving_ = false;
  std::uint32_t unanswered_requests_ = 0;
  bool fails_rather_than_stops_ = false;
};

}  // namespace blockpull::driver
