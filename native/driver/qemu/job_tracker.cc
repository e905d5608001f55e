// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/job_tracker.h"

#include <algorithm>
#include <utility>

#include "driver/qemu/job_errors.h"
#include "driver/qemu/job_progress.h"

namespace blockpull::driver::qemu {
namespace {

/// How often QEMU is polled without an event. Progress sends no events.
constexpr Nanoseconds kPollInterval{500'000'000};

/// How long an abort waits for a QEMU that does not answer; less than people wait at a prompt.
constexpr Nanoseconds kPatience{1'500'000'000};

}  // namespace

void JobTracker::start(job::Host& host, job::ProgressCounters& counters,
                       std::function<void(job::Ending)> done) {
  host_ = &host;
  calls_ = std::make_shared<HostCalls>(host, weak_from_this());
  operations_ = make_operations_(host, calls_);
  counters_ = &counters;
  done_ = std::move(done);
  counters_->method = plan_.has_job() ? operations_->command() : "none";
  has_concluded_ = !plan_.has_job();
  // A job without work still passes over the disk, and copies nothing.
  counters_->to_move = plan_.has_work ? plan_.virtual_size : 0;
  listen();
  poll_later();
  poll();
}

void JobTracker::listen() {
  watch_->on_news(calls_->posted([this] { poll(); }));
}

void JobTracker::poll_later() {
  poll_timer_ = host_->call_at(host_->clock().now() + kPollInterval, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->poll_later();
      self->counters_->silent_ns = static_cast<std::uint64_t>(self->monitor_->silent_for().count());
      self->poll();
    }
  });
}

void JobTracker::poll() {
  const auto end = watch_->end();
  if (end && !has_concluded_ && !awaits_restart_) {
    take_end(*end);
    return;
  }
  if (watch_->is_qemu_gone()) {
    qemu_ended();
    return;
  }
  if (is_polling_) {
    return;
  }
  is_polling_ = true;
  watch_->begin_poll();
  poll_jobs(monitor_, plan_.has_run_state,
            calls_->posted([this](const Result<PolledJobs>& polled) { take_poll(polled); }));
}

void JobTracker::take_poll(const Result<PolledJobs>& polled) {
  is_polling_ = false;
  if (!polled.ok()) {
    // After a broken connection is restored, the watch asks for a poll.
    if (is_leaving_) {
      leave();
    }
    return;
  }
  const qmp::BlockJob* const job =
      has_concluded_ ? nullptr : qmp::find_job(polled->jobs, plan_.job_id);
  hold_.observe(job, polled->state, watch_->end_poll());
  if (has_concluded_) {
    if (step_ == Step::kNone && !hold_.must_stand()) {
      confirm();
    }
  } else if (awaits_restart_) {
    restart(job != nullptr);
  } else if (job != nullptr) {
    act(*job);
  } else {
    take_missing();
  }
}

void JobTracker::take_missing() {
  if (const auto end = watch_->end()) {
    take_end(*end);
  } else if (cancel_reason_.is_restart) {
    // The connection broke during the cancel; restart() sees whether it ended the job.
    awaits_restart_ = true;
    step_ = Step::kNone;
  } else if (!finalize_sent_ && !plan_.auto_finalize) {
    fail(job_vanished(plan_,
                      "QEMU no longer lists it, and its end was not seen; the disk's chain "
                      "shows whether it keeps its backing file"));
  } else if (step_ != Step::kAskIfDone) {
    ask_if_done();
  }
}

void JobTracker::act(const qmp::BlockJob& job) {
  if (!cancel_reason_.is_restart) {
    bandwidth_ = job.speed;
  }
  update_counters(*counters_, job, plan_.virtual_size, hold_.is_held(job));
  if (!requests_.are_owed()) {
    counters_->stopped_on = job.stopped_on;
  }
  if (step_ != Step::kNone || job.is_ending()) {
    return;
  }
  if (job.stopped_on && !requests_.are_owed() && fails_rather_than_stops_) {
    cancel_reason_.stop_error = job_stopped(plan_, *job.stopped_on);
  }
  // A job that QEMU finalizes by itself cannot wait until the guest runs again.
  const bool is_time = !hold_.must_stand() || plan_.auto_finalize;
  cancel_reason_.is_restart = cancel_reason_.is_restart || (hold_.is_tainted() && is_time);
  if (cancel_if_unwanted(job.is_pending())) {
    return;
  }
  switch (hold_.next(job)) {
    case JobHold::Move::kPause:
      hold_.pause_asked();
      execute(Step::kPause, qmp::job_pause(plan_.job_id), &JobTracker::pause_answered);
      break;
    case JobHold::Move::kResume:
      hold_.resuming();
      execute(Step::kResume, qmp::job_resume(plan_.job_id), &JobTracker::resume_answered);
      break;
    case JobHold::Move::kWait:
      break;
    case JobHold::Move::kNothing:
      if (job.is_pending()) {
        conclude();
      }
  }
}

bool JobTracker::cancel_if_unwanted(bool is_pending) {
  const CancelMove move = next_cancel(cancel_reason_, cancels_, is_pending);
  if (move == CancelMove::kCancel) {
    execute(Step::kCancel, qmp::job_cancel(plan_.job_id), &JobTracker::cancel_answered);
  } else if (move == CancelMove::kGiveUp) {
    fail(cancel_reason_.distrust.value_or(
        job_failed(plan_, ErrorKind::kJobFailed,
                   "QEMU skipped data that it should have copied, and refuses to cancel the job")));
  }
  return move != CancelMove::kNone;
}

void JobTracker::pause_answered(Result<void> result) {
  hold_.pause_answered(result);
  poll_after(std::move(result));
}

void JobTracker::resume_answered(Result<void> result) {
  hold_.resume_answered(result);
  poll_after(std::move(result));
}

void JobTracker::conclude() {
  if (is_ready_) {
    // If we die here, the job waits at pending with everything durable, and the next process that
    // opens the guest finalizes it.
    finalize_sent_ = true;
    // If the command is refused, or its answer is lost, everything is prepared again.
    is_ready_ = false;
    execute(Step::kFinalize, qmp::job_finalize(plan_.job_id), &JobTracker::poll_after);
    return;
  }
  step_ = Step::kPrepare;
  operations_->prepare(
      hold_.state(), [this](Preparation preparation) { take_preparation(std::move(preparation)); });
}

void JobTracker::take_preparation(Preparation preparation) {
  step_ = Step::kNone;
  switch (preparation.verdict) {
    case Preparation::Verdict::kReady:
      is_ready_ = true;
      break;
    case Preparation::Verdict::kTryLater:
      leave_when_answered();
      return;
    case Preparation::Verdict::kLacks:
      if (!was_restarted_for_lack_) {
        was_restarted_for_lack_ = true;
        cancel_reason_.is_restart = true;
        break;
      }
      [[fallthrough]];
    case Preparation::Verdict::kFlushFailed:
    case Preparation::Verdict::kUnknowable:
      cancel_reason_.distrust = std::move(preparation.error);
      break;
  }
  leave_when_answered();
  if (done_) {
    poll();
  }
}

void JobTracker::confirm() {
  if (cancel_reason_.distrust) {
    // Written data may be lost for good, and yet a later flush would succeed.
    fail(job_finalized_elsewhere(plan_, *cancel_reason_.distrust));
    return;
  }
  if (hold_.is_tainted()) {
    operations_->forget();
  }
  step_ = Step::kConfirm;
  operations_->confirm([this](const std::optional<Result<Confirmation>>& confirmation) {
    step_ = Step::kNone;
    if (confirmation) {
      take_confirmation(*confirmation);
    } else if (watch_->is_qemu_gone()) {
      qemu_ended();
    }
  });
}

void JobTracker::take_confirmation(const Result<Confirmation>& confirmation) {
  if (!confirmation.ok()) {
    fail(confirmation.error());
    return;
  }
  if (hold_.is_tainted() && !confirmation->is_verified) {
    fail(job_finalized_elsewhere(
        plan_, make_error(ErrorKind::kJobFailed,
                          "it ran while its guest's images were inactive, and QEMU may have "
                          "skipped data that it should have copied")));
    return;
  }
  counters_->settled = plan_.virtual_size;
  counters_->moved = counters_->to_move.load();
  finish(job::Ending{.error = std::nullopt,
                     .released = confirmation->released,
                     .warnings = confirmation->warnings,
                     .verified = confirmation->is_verified,
                     .durable = confirmation->is_durable});
}

/// `has_begun`: QEMU runs it already, and the answer was lost. What was observed of it since
/// counts.
void JobTracker::restart(bool has_begun) {
  if (step_ != Step::kNone || (hold_.must_stand() && !has_begun)) {
    return;
  }
  if (!has_begun) {
    hold_.restart();
  }
  step_ = Step::kRestart;
  restarted_with_ = bandwidth_;
  operations_->restart(bandwidth_, [this](const Result<std::shared_ptr<JobWatch>>& restarted) {
    take_restart(restarted);
  });
}

void JobTracker::take_restart(const Result<std::shared_ptr<JobWatch>>& restarted) {
  step_ = Step::kNone;
  if (!restarted.ok()) {
    const Error& why = restarted.error();
    if (!is_unknown(why) && why.kind != ErrorKind::kGuestBusy) {
      fail(job_not_restarted(plan_, why));
    }
    return;
  }
  watch_->on_news({});
  watch_ = *restarted;
  listen();
  awaits_restart_ = false;
  is_ready_ = false;
  finalize_sent_ = false;
  cancel_reason_.is_restart = false;
  cancels_ = {};
  if (bandwidth_ != restarted_with_) {
    request(qmp::block_job_set_speed(plan_.job_id, bandwidth_), {});
  }
  operations_->forget();
  poll();
}

/// A refusal means that the job's status has changed, and an event reports that. A poll at once
/// would only be refused again.
void JobTracker::poll_after(Result<void> result) {
  if (result.ok()) {
    poll();
  }
}

void JobTracker::cancel_answered(Result<void> result) {
  if (!result.ok()) {
    ++cancels_.refused;
    cancels_.refusal = result.error().message;
  }
  poll_after(std::move(result));
}

void JobTracker::take_end(const JobEnd& end) {
  step_ = step_ == Step::kPrepare ? step_ : Step::kNone;
  if (!end.was_cancelled && !end.error) {
    has_concluded_ = true;
    poll();
  } else if (cancel_reason_.failure()) {
    fail(*cancel_reason_.failure());
  } else if (cancel_reason_.is_abort && end.was_cancelled) {
    fail(job_aborted(plan_));
  } else if (cancel_reason_.is_restart && end.was_cancelled) {
    awaits_restart_ = true;
    poll();
  } else {
    fail(job_ended(plan_, end));
  }
}

void JobTracker::ask_if_done() {
  step_ = Step::kAskIfDone;
  operations_->was_done([this](std::optional<bool> was_done) {
    step_ = Step::kNone;
    if (was_done == true) {
      has_concluded_ = true;
      poll();
    } else if (was_done == false) {
      fail(job_vanished(plan_, "QEMU no longer lists it, and does not show the new chain"));
    }
  });
}

/// A confirmation reads files, and needs no QEMU.
void JobTracker::qemu_ended() {
  if (step_ != Step::kConfirm) {
    fail(job_vanished(plan_,
                      "QEMU has ended; pull the disk again, which continues from what is durable"));
  }
}

void JobTracker::fail(Error error) {
  finish(job::Ending{.error = std::move(error), .released = {}});
}

void JobTracker::finish(job::Ending ending) {
  host_->cancel_call(poll_timer_);
  host_->cancel_call(patience_timer_);
  watch_->on_news({});
  operations_.reset();
  calls_->end();
  host_ = nullptr;
  const bool is_cancelled = ending.error && ending.error->kind == ErrorKind::kCancelled;
  if (cancels_.are_in_vain() && !is_cancelled) {
    ending.warnings.push_back(cancel_refused(plan_, cancels_.refusal));
  }
  std::exchange(done_, nullptr)(std::move(ending));
}

void JobTracker::execute(Step step, qmp::Command command, Next next) {
  step_ = step;
  monitor_->execute(std::move(command),
                    calls_->posted([this, step, next](const Result<qmp::Json>& answer) {
                      end_step(step, next, answer.ok() ? Result<void>() : answer.error());
                    }));
}

/// The job's end may have come first; the step no longer matters then.
void JobTracker::end_step(Step step, Next next, Result<void> result) {
  if (step_ != step) {
    return;
  }
  step_ = Step::kNone;
  cancels_.is_answered = cancels_.is_answered || step == Step::kCancel;
  if (result.ok() || !is_unknown(result.error())) {
    (this->*next)(std::move(result));
  }
  leave_when_answered();
}

void JobTracker::stop(job::Stop how) {
  if (!done_) {
    return;
  }
  if (how == job::Stop::kAbandon) {
    leave();
    return;
  }
  if (how == job::Stop::kLeave) {
    is_leaving_ = true;
    leave_when_answered();
  } else {
    cancel_reason_.is_abort = true;
    if (awaits_restart_ && step_ == Step::kNone) {
      fail(job_aborted(plan_));
    } else {
      poll();
    }
  }
  if (done_) {
    host_->cancel_call(patience_timer_);
    patience_timer_ = host_->call_at(host_->clock().now() + kPatience, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->stop_waiting_if_silent();
      }
    });
    stop_waiting_if_silent();
  }
}

/// A finished job is no longer cancelled, so no answer to a cancel will come.
void JobTracker::leave_when_answered() {
  const bool is_cancel_owed = cancel_reason_.is_abort && !cancels_.is_answered && !has_concluded_;
  if (done_ && is_leaving_ && !is_cancel_owed && !requests_.are_owed()) {
    leave();
  }
}

void JobTracker::leave() {
  fail(job_left(plan_));
}

void JobTracker::stop_waiting_if_silent() {
  if (!done_ || monitor_->silent_for() < kPatience) {
    return;
  }
  if (is_leaving_) {
    leave();
  } else if (cancel_reason_.is_abort) {
    fail(job_silent(plan_, monitor_->path()));
  }
}

void JobTracker::try_bandwidth(std::uint64_t bandwidth, std::function<void(Result<void>)> done) {
  if (awaits_restart_ || cancel_reason_.is_restart) {
    // The restarted job gets this limit.
    bandwidth_ = bandwidth;
  } else if (host_ != nullptr && plan_.has_job()) {
    request(qmp::block_job_set_speed(plan_.job_id, bandwidth), std::move(done));
    return;
  }
  if (done) {
    done({});
  }
}

void JobTracker::resume(std::function<void(Result<void>)> done) {
  if (counters_ != nullptr) {
    counters_->stopped_on = std::nullopt;
  }
  hold_.resuming();
  request(qmp::block_job_resume(plan_.job_id), JobRequests::resumed(std::move(done)));
}

void JobTracker::fail_rather_than_stop() {
  fails_rather_than_stops_ = true;
  if (done_) {
    poll();
  }
}

void JobTracker::request(qmp::Command command, std::function<void(Result<void>)> done) {
  requests_.ask(*monitor_, std::move(command), std::move(done),
                calls_->posted([this] { request_answered(); }));
}

void JobTracker::request_answered() {
  requests_.answered();
  poll();
  leave_when_answered();
}

}  // namespace blockpull::driver::qemu
