// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/stream_follower.h"

#include <algorithm>
#include <utility>

#include "driver/qemu/job_progress.h"
#include "driver/qemu/stream_again.h"
#include "driver/qemu/stream_errors.h"

namespace blockpull::driver::qemu {
namespace {

/// How often QEMU is asked while no event gives reason to: progress has no events.
constexpr Nanoseconds kLookInterval{500'000'000};

/// Who aborts waits no longer for a QEMU that does not answer; less than people wait at a prompt.
constexpr Nanoseconds kPatience{1'500'000'000};

}  // namespace

void StreamFollower::post(std::function<void(StreamFollower&)> then) {
  const std::lock_guard lock(mutex_);
  if (host_ == nullptr) {
    return;
  }
  host_->post([weak = weak_from_this(), then = std::move(then)] {
    const auto self = weak.lock();
    if (self != nullptr && self->finish_) {
      then(*self);
    }
  });
}

void StreamFollower::start(job::Host& host, job::Board& board,
                           std::function<void(job::Ending)> finish) {
  {
    const std::lock_guard lock(mutex_);
    host_ = &host;
  }
  board_ = &board;
  finish_ = std::move(finish);
  board_->method = plan_.has_job() ? "block-stream" : "none";
  done_ = !plan_.has_job();
  // A job where no layer drops out goes over the disk all the same, and copies nothing.
  board_->to_move = plan_.has_work ? plan_.virtual_size : 0;
  const auto post_call = [weak = weak_from_this()](std::function<void()> call) {
    if (const auto self = weak.lock()) {
      self->post([call = std::move(call)](StreamFollower& /*follower*/) { call(); });
    }
  };
  conclusion_ = std::make_shared<StreamConclusion>(monitor_, plan_, host, post_call);
  listen();
  look_again_later();
  look();
}

void StreamFollower::listen() {
  watch_->on_news(posted(&StreamFollower::look));
}

void StreamFollower::look_again_later() {
  timer_ = host_->call_at(host_->clock().now() + kLookInterval, [this] {
    look_again_later();
    board_->silent_ns = static_cast<std::uint64_t>(monitor_->silent_for().count());
    look();
  });
}

void StreamFollower::look() {
  const auto end = watch_->end();
  if (end && !done_ && !is_between_) {
    take_end(*end);
    return;
  }
  if (watch_->is_qemu_gone()) {
    qemu_ended();
    return;
  }
  if (asking_) {
    return;
  }
  asking_ = true;
  watch_->begin_look();
  look_at_jobs(monitor_, plan_.has_run_state, posted(&StreamFollower::take_look));
}

void StreamFollower::take_look(const Result<JobLook>& look) {
  asking_ = false;
  if (!look.ok()) {
    // A connection that broke is made again, and then there is reason to look.
    if (is_leaving_) {
      leave();
    }
    return;
  }
  const qmp::BlockJob* const job = done_ ? nullptr : qmp::find_job(look->jobs, plan_.job_id);
  hold_.observe(job, look->state, watch_->end_look());
  if (done_) {
    if (step_ == Step::kNone && !hold_.must_stand()) {
      confirm();
    }
  } else if (is_between_) {
    begin_again(job != nullptr);
  } else if (job != nullptr) {
    act(*job);
  } else {
    take_missing();
  }
}

void StreamFollower::take_missing() {
  if (const auto end = watch_->end()) {
    take_end(*end);
  } else if (unwanted_.is_again) {
    // The connection broke over the cancel; begin_again() sees whether that ended it.
    is_between_ = true;
    step_ = Step::kNone;
  } else if (!finalize_sent_ && !plan_.auto_finalize) {
    fail(stream_vanished(plan_,
                         "QEMU has it no more, and nobody has seen its end; whether the disk keeps "
                         "its backing file, its chain shows"));
  } else if (step_ != Step::kCheck) {
    check_chain();
  }
}

void StreamFollower::act(const qmp::BlockJob& job) {
  if (!unwanted_.is_again) {
    bytes_per_second_ = job.speed;
  }
  show_on_board(*board_, job, plan_.virtual_size, hold_.is_held(job));
  if (!requests_.are_owed()) {
    board_->stopped_on = job.stopped_on;
  }
  if (step_ != Step::kNone || job.is_ending()) {
    return;
  }
  if (job.stopped_on && !requests_.are_owed() && fails_rather_than_stops_) {
    unwanted_.stop_error = stream_stopped(plan_, *job.stopped_on);
  }
  // One that QEMU finalizes by itself cannot wait until the guest runs again.
  const bool is_time = !hold_.must_stand() || plan_.auto_finalize;
  unwanted_.is_again = unwanted_.is_again || (hold_.is_tainted() && is_time);
  if (cancel_if_unwanted(job.is_pending())) {
    return;
  }
  switch (hold_.next(job)) {
    case JobHold::Move::kPause:
      hold_.pause_asked();
      execute(Step::kPause, qmp::job_pause(plan_.job_id), &StreamFollower::pause_answered);
      break;
    case JobHold::Move::kResume:
      hold_.resuming();
      execute(Step::kResume, qmp::job_resume(plan_.job_id), &StreamFollower::resume_answered);
      break;
    case JobHold::Move::kWait:
      break;
    case JobHold::Move::kNothing:
      if (job.is_pending()) {
        conclude();
      }
  }
}

bool StreamFollower::cancel_if_unwanted(bool is_pending) {
  const CancelMove move = next_cancel(unwanted_, cancels_, is_pending);
  if (move == CancelMove::kCancel) {
    execute(Step::kCancel, qmp::job_cancel(plan_.job_id), &StreamFollower::cancel_answered);
  } else if (move == CancelMove::kGiveUp) {
    fail(unwanted_.distrust.value_or(
        stream_failed(plan_, ErrorKind::kJobFailed,
                      "QEMU has skipped what it should have copied, and refuses to cancel it")));
  }
  return move != CancelMove::kNone;
}

void StreamFollower::pause_answered(Result<void> result) {
  hold_.pause_answered(result);
  look_after(std::move(result));
}

void StreamFollower::resume_answered(Result<void> result) {
  hold_.resume_answered(result);
  look_after(std::move(result));
}

void StreamFollower::conclude() {
  if (is_ready_) {
    // If we die here, the job waits at pending with everything durable, and the next one to look
    // finalizes it.
    finalize_sent_ = true;
    // A refusal, or an answer that is lost, begins it all again.
    is_ready_ = false;
    execute(Step::kFinalize, qmp::job_finalize(plan_.job_id), &StreamFollower::look_after);
    return;
  }
  step_ = Step::kPrepare;
  conclusion_->prepare(hold_.state(),
                       [this](Preparation preparation) { prepared(std::move(preparation)); });
}

void StreamFollower::prepared(Preparation preparation) {
  step_ = Step::kNone;
  switch (preparation.verdict) {
    case Preparation::Verdict::kReady:
      is_ready_ = true;
      break;
    case Preparation::Verdict::kTryLater:
      leave_when_answered();
      return;
    case Preparation::Verdict::kLacks:
      if (!was_again_for_lack_) {
        was_again_for_lack_ = true;
        unwanted_.is_again = true;
        break;
      }
      [[fallthrough]];
    case Preparation::Verdict::kFlushFailed:
    case Preparation::Verdict::kUnknowable:
      unwanted_.distrust = std::move(preparation.error);
      break;
  }
  leave_when_answered();
  if (finish_) {
    look();
  }
}

void StreamFollower::confirm() {
  if (unwanted_.distrust) {
    // What was to be written may be lost for good, and a later flush succeeds all the same.
    fail(stream_finalized_elsewhere(plan_, *unwanted_.distrust));
    return;
  }
  if (hold_.is_tainted()) {
    conclusion_->forget();
  }
  step_ = Step::kConfirm;
  conclusion_->confirm([this](std::optional<Result<Confirmation>> confirmation) {
    step_ = Step::kNone;
    if (confirmation) {
      confirmed(*confirmation);
    } else if (watch_->is_qemu_gone()) {
      qemu_ended();
    }
  });
}

void StreamFollower::confirmed(const Result<Confirmation>& confirmation) {
  if (!confirmation.ok()) {
    fail(confirmation.error());
    return;
  }
  if (hold_.is_tainted() && !confirmation->is_verified) {
    fail(stream_finalized_elsewhere(
        plan_, make_error(ErrorKind::kJobFailed,
                          "it ran while its guest's images were inactive, and QEMU may have "
                          "skipped what it should have copied")));
    return;
  }
  end_->base = confirmation->base;
  board_->settled = plan_.virtual_size;
  board_->moved = board_->to_move.load();
  finish(job::Ending{.error = std::nullopt,
                     .released = confirmation->released,
                     .warnings = confirmation->warnings,
                     .verified = confirmation->is_verified,
                     .durable = confirmation->is_durable});
}

/// `has_begun`: QEMU has it already, and the answer to that was lost. What was seen of it since
/// counts.
void StreamFollower::begin_again(bool has_begun) {
  if (step_ != Step::kNone || (hold_.must_stand() && !has_begun)) {
    return;
  }
  if (!has_begun) {
    hold_.begin_again();
  }
  step_ = Step::kBegin;
  begun_with_ = bytes_per_second_;
  begin_stream_again(monitor_, plan_, bytes_per_second_, posted(&StreamFollower::begun_again));
}

void StreamFollower::begun_again(const Result<std::shared_ptr<JobWatch>>& begun) {
  step_ = Step::kNone;
  if (!begun.ok()) {
    const Error& why = begun.error();
    if (!is_unknown(why) && why.kind != ErrorKind::kGuestBusy) {
      fail(stream_not_begun_again(plan_, why));
    }
    return;
  }
  watch_->on_news({});
  watch_ = *begun;
  listen();
  is_between_ = false;
  is_ready_ = false;
  finalize_sent_ = false;
  unwanted_.is_again = false;
  cancels_ = {};
  if (bytes_per_second_ != begun_with_) {
    request(qmp::block_job_set_speed(plan_.job_id, bytes_per_second_), {});
  }
  conclusion_->forget();
  look();
}

/// A refusal means that the status was another one by then, which its event tells. Were it not so,
/// looking at once would only be refused again.
void StreamFollower::look_after(Result<void> result) {
  if (result.ok()) {
    look();
  }
}

void StreamFollower::cancel_answered(Result<void> result) {
  if (!result.ok()) {
    ++cancels_.refused;
    cancels_.refusal = result.error().message;
  }
  look_after(std::move(result));
}

void StreamFollower::take_end(const JobEnd& end) {
  step_ = step_ == Step::kPrepare ? step_ : Step::kNone;
  if (!end.was_cancelled && !end.error) {
    done_ = true;
    look();
  } else if (unwanted_.failure()) {
    fail(*unwanted_.failure());
  } else if (unwanted_.is_aborted && end.was_cancelled) {
    fail(stream_aborted(plan_));
  } else if (unwanted_.is_again && end.was_cancelled) {
    is_between_ = true;
    look();
  } else {
    fail(stream_ended(plan_, end));
  }
}

void StreamFollower::check_chain() {
  step_ = Step::kCheck;
  conclusion_->look_for_end([this](std::optional<bool> is_done) {
    step_ = Step::kNone;
    if (is_done == true) {
      done_ = true;
      look();
    } else if (is_done == false) {
      fail(stream_vanished(plan_, "QEMU has it no more, and does not show the new chain"));
    }
  });
}

/// What the files show needs no QEMU.
void StreamFollower::qemu_ended() {
  if (step_ != Step::kConfirm) {
    fail(stream_vanished(
        plan_, "QEMU has ended; pull the disk again, which goes on from what is durable"));
  }
}

void StreamFollower::fail(Error error) {
  finish(job::Ending{.error = std::move(error), .released = {}});
}

void StreamFollower::finish(job::Ending ending) {
  host_->cancel_call(timer_);
  host_->cancel_call(patience_timer_);
  watch_->on_news({});
  conclusion_.reset();
  {
    const std::lock_guard lock(mutex_);
    host_ = nullptr;
  }
  const bool is_cancelled = ending.error && ending.error->kind == ErrorKind::kCancelled;
  if (cancels_.are_in_vain() && !is_cancelled) {
    ending.warnings.push_back(cancel_refused(plan_, cancels_.refusal));
  }
  std::exchange(finish_, nullptr)(std::move(ending));
}

void StreamFollower::execute(Step step, qmp::Command command, Then then) {
  step_ = step;
  monitor_->execute(std::move(command),
                    [weak = weak_from_this(), step, then](Result<qmp::Json> answer) {
                      if (const auto self = weak.lock()) {
                        self->post([step, then, answer = std::move(answer)](StreamFollower& f) {
                          f.end_step(step, then, answer.ok() ? Result<void>() : answer.error());
                        });
                      }
                    });
}

/// The job's end may have come first; the step is of no interest then.
void StreamFollower::end_step(Step step, Then then, Result<void> result) {
  if (step_ != step) {
    return;
  }
  step_ = Step::kNone;
  cancels_.is_answered = cancels_.is_answered || step == Step::kCancel;
  if (result.ok() || !is_unknown(result.error())) {
    (this->*then)(std::move(result));
  }
  leave_when_answered();
}

void StreamFollower::stop(job::Stop how) {
  if (!finish_) {
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
    unwanted_.is_aborted = true;
    if (is_between_ && step_ == Step::kNone) {
      fail(stream_aborted(plan_));
    } else {
      look();
    }
  }
  if (finish_) {
    host_->cancel_call(patience_timer_);
    patience_timer_ =
        host_->call_at(host_->clock().now() + kPatience, [this] { stop_waiting_if_silent(); });
    stop_waiting_if_silent();
  }
}

/// A job that is done is not cancelled any more, so no answer to that will come.
void StreamFollower::leave_when_answered() {
  const bool is_cancel_owed = unwanted_.is_aborted && !cancels_.is_answered && !done_;
  if (finish_ && is_leaving_ && !is_cancel_owed && !requests_.are_owed()) {
    leave();
  }
}

void StreamFollower::leave() {
  fail(stream_left(plan_));
}

void StreamFollower::stop_waiting_if_silent() {
  if (!finish_ || monitor_->silent_for() < kPatience) {
    return;
  }
  if (is_leaving_) {
    leave();
  } else if (unwanted_.is_aborted) {
    fail(stream_silent(plan_, monitor_->path()));
  }
}

void StreamFollower::set_bandwidth(std::uint64_t bytes_per_second,
                                   std::function<void(Result<void>)> told) {
  if (is_between_ || unwanted_.is_again) {
    // The job that is begun next has it.
    bytes_per_second_ = bytes_per_second;
  } else if (host_ != nullptr && finish_ && plan_.has_job()) {
    request(qmp::block_job_set_speed(plan_.job_id, bytes_per_second), std::move(told));
    return;
  }
  if (told) {
    told({});
  }
}

void StreamFollower::resume(std::function<void(Result<void>)> told) {
  if (board_ != nullptr) {
    board_->stopped_on = std::nullopt;
  }
  hold_.resuming();
  request(qmp::block_job_resume(plan_.job_id), JobRequests::resumed(std::move(told)));
}

void StreamFollower::fail_rather_than_stop() {
  fails_rather_than_stops_ = true;
  if (finish_) {
    look();
  }
}

void StreamFollower::request(qmp::Command command, std::function<void(Result<void>)> told) {
  requests_.ask(*monitor_, std::move(command), std::move(told),
                posted(&StreamFollower::request_answered));
}

void StreamFollower::request_answered() {
  requests_.answered();
  look();
  leave_when_answered();
}

}  // namespace blockpull::driver::qemu
