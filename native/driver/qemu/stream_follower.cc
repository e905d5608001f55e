// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/stream_follower.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"
#include "driver/qemu/flush.h"

namespace blockpull::driver {
namespace {

/// How often QEMU is asked while no event gives reason to: progress has no events.
constexpr Nanoseconds kLookInterval{500'000'000};

/// So many refusals of a cancel are believed: one may have met a job that was just ending.
constexpr std::uint32_t kRefusalsBelieved = 2;

/// Whether it is not known if a command was done: then the next look shows it.
bool is_unknown(const Result<void>& result) {
  if (result.ok()) {
    return false;
  }
  const ErrorKind kind = result.error().kind;
  return kind == ErrorKind::kMonitorLost || kind == ErrorKind::kMonitorBusy ||
         kind == ErrorKind::kMonitorTimeout;
}

/// QEMU's words for the errors that have a kind of their own.
constexpr std::string_view kNoSpaceWords = "No space left on device";
constexpr std::string_view kIoWords = "Input/output error";

ErrorKind kind_of(std::string_view said) {
  if (said == kNoSpaceWords) {
    return ErrorKind::kNoSpace;
  }
  return said == kIoWords ? ErrorKind::kIo : ErrorKind::kJobFailed;
}

std::string_view words_of(ErrorKind kind) {
  return kind == ErrorKind::kNoSpace ? kNoSpaceWords : kIoWords;
}

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
  board_->method = "block-stream";
  // Where no layer drops out QEMU goes over the disk all the same, and copies nothing.
  board_->to_move = plan_.has_work ? plan_.virtual_size : 0;
  watch_->on_news([weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->post([](StreamFollower& follower) { follower.look(); });
    }
  });
  look_again_later();
  look();
}

void StreamFollower::look_again_later() {
  timer_ = host_->call_at(host_->clock().now() + kLookInterval, [this] {
    look_again_later();
    look();
  });
}

void StreamFollower::look() {
  if (done_) {
    if (step_ == Step::kNone) {
      last_flush();
    }
  } else if (const auto end = watch_->end()) {
    take_end(*end);
    return;
  }
  if (watch_->is_qemu_gone()) {
    qemu_ended();
    return;
  }
  if (asking_ || done_) {
    return;
  }
  asking_ = true;
  monitor_->execute(qmp::query_block_jobs(), [weak = weak_from_this()](Result<qmp::Json> answer) {
    if (const auto self = weak.lock()) {
      self->post(
          [answer = std::move(answer)](StreamFollower& follower) { follower.take_jobs(answer); });
    }
  });
}

void StreamFollower::take_jobs(const Result<qmp::Json>& answer) {
  asking_ = false;
  if (!answer.ok() || done_) {
    // A connection that broke is made again, and then there is reason to look.
    if (is_leaving_) {
      leave();
    }
    return;
  }
  for (const qmp::BlockJob& job : qmp::read_block_jobs(*answer)) {
    if (job.id == plan_.job_id) {
      act(job);
      return;
    }
  }
  if (const auto end = watch_->end()) {
    take_end(*end);
  } else if (!finalize_sent_ && !plan_.auto_finalize) {
    vanish(
        "QEMU has it no more, and nobody has seen its end; whether the disk keeps its backing "
        "file, its chain shows");
  } else if (step_ != Step::kCheck) {
    check_chain();
  }
}

void StreamFollower::act(const qmp::BlockJob& job) {
  show(job);
  if (step_ != Step::kNone) {
    return;
  }
  switch (job.status) {
    case qmp::JobStatus::kAborting:
    case qmp::JobStatus::kConcluded:
    case qmp::JobStatus::kNull:
      return;
    default:
      break;
  }
  const bool has_stopped = job.stopped_on && unanswered_requests_ == 0;
  if (has_stopped && fails_rather_than_stops_ && !unwanted_.stop_error) {
    unwanted_.stop_error = failure_of(*job.stopped_on, words_of(*job.stopped_on));
  }
  const bool is_pending = job.status == qmp::JobStatus::kPending;
  const bool cannot_be_cancelled = is_pending && cancels_.are_in_vain();
  if (cannot_be_cancelled && unwanted_.flush_error) {
    finish(unwanted_.flush_error);
  } else if (unwanted_.is_so() && !cannot_be_cancelled) {
    execute(Step::kCancel, qmp::job_cancel(plan_.job_id), &StreamFollower::cancel_answered);
  } else if (is_pending) {
    flush(Step::kFlush, &StreamFollower::flushed);
  }
}

/// Progress only grows.
void StreamFollower::show(const qmp::BlockJob& job) {
  const std::uint64_t offset = std::min(job.offset, plan_.virtual_size);
  board_->settled = std::max(board_->settled.load(), offset);
  board_->moved = std::min(board_->settled.load(), board_->to_move.load());
  // What was asked before a resume is answered before it; act() heeds that too.
  if (unanswered_requests_ == 0) {
    board_->stopped_on = job.stopped_on;
  }
}

void StreamFollower::flushed(Result<void> result) {
  if (!result.ok()) {
    unwanted_.flush_error = std::move(result).error();
  } else if ((!unwanted_.is_aborted || cancels_.are_in_vain()) && !done_) {
    // If we die here, the job waits at pending with everything durable, and the next one to look
    // finalizes it.
    finalize_sent_ = true;
    execute(Step::kFinalize, qmp::job_finalize(plan_.job_id), &StreamFollower::look_after);
    return;
  }
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

bool StreamFollower::Cancels::are_in_vain() const {
  return refused >= kRefusalsBelieved;
}

void StreamFollower::take_end(const JobEnd& end) {
  if (!end.was_cancelled && !end.error) {
    done_ = true;
    if (step_ != Step::kFlush) {
      last_flush();
    }
    // Else somebody finalized it meanwhile, and how that flush went matters.
  } else if (unwanted_.failure()) {
    finish(unwanted_.failure());
  } else if (unwanted_.is_aborted && end.was_cancelled) {
    finish(make_error(ErrorKind::kCancelled, text("pull of disk '", plan_.disk_name,
                                                  "' was aborted; what was copied is kept")));
  } else {
    const std::string said =
        end.error.value_or("it was cancelled by another program, or QEMU was told to quit");
    finish(failure_of(kind_of(said), said));
  }
}

Error StreamFollower::failure_of(ErrorKind kind, std::string_view said) const {
  return make_error(kind, text("QEMU's pull of disk '", plan_.disk_name, "' failed: ", said,
                               "; the disk keeps its backing file"))
      .with_path(plan_.path);
}

void StreamFollower::check_chain() {
  view(Step::kCheck, &StreamFollower::chain_checked);
}

void StreamFollower::chain_checked(const Result<GuestView>& view) {
  if (!view.ok()) {
    // The next look finds the job missing again.
    return;
  }
  if (!shows_new_chain(*view)) {
    vanish("QEMU has it no more, and the disk has its old backing file");
    return;
  }
  done_ = true;
  last_flush();
}

/// Whether the chain is as the job leaves it. Nothing else makes it shorter while the job runs.
bool StreamFollower::shows_new_chain(const GuestView& view) const {
  const auto top = view.graph.find_node(plan_.node);
  return top && (!plan_.has_work || view.graph.chain_from(*top).size() < plan_.depth);
}

void StreamFollower::last_flush() {
  // If we die here, the image stands on its own and its data is durable; should the header be lost
  // with the host's memory, it names the old backing file, which then is still right.
  flush(Step::kLastFlush, &StreamFollower::last_flushed);
}

void StreamFollower::last_flushed(Result<void> result) {
  if (result.ok() && unwanted_.flush_error) {
    // Somebody else finalized it. What the failed flush was to write may be lost for good, and a
    // later one succeeds all the same.
    result = *unwanted_.flush_error;
  }
  if (!result.ok()) {
    Error error = std::move(result).error();
    error.message =
        text("pull of disk '", plan_.disk_name,
             "' was done, but may not be durable, so keep its backing files: ", error.message);
    finish(std::move(error).with_path(plan_.path));
    return;
  }
  view(Step::kView, &StreamFollower::chain_viewed);
}

/// What the chain is now, of which a job that was found knows nothing else.
void StreamFollower::chain_viewed(const Result<GuestView>& view) {
  end_->base = plan_.base;
  if (view.ok()) {
    if (const auto top = view->graph.find_node(plan_.node)) {
      const auto chain = view->graph.chain_from(*top);
      if (chain.size() > 1) {
        const BlockNode& below = view->graph.nodes()[chain[1]];
        end_->base = KeptLayer{below.filename, below.driver};
      }
    }
  }
  finish(std::nullopt);
}

void StreamFollower::qemu_ended() {
  if (step_ == Step::kView) {
    end_->base = plan_.base;
    finish(std::nullopt);
    return;
  }
  vanish("QEMU has ended; pull the disk again, which goes on from what is durable");
}

void StreamFollower::vanish(std::string_view why) {
  finish(make_error(ErrorKind::kJobVanished,
                    text("pull of disk '", plan_.disk_name, "' vanished: ", why))
             .with_path(plan_.path));
}

void StreamFollower::finish(std::optional<Error> error) {
  host_->cancel_call(timer_);
  watch_->on_news({});
  {
    const std::lock_guard lock(mutex_);
    host_ = nullptr;
  }
  job::Ending ending;
  if (!error) {
    board_->settled = plan_.virtual_size;
    board_->moved = board_->to_move.load();
    ending.released = plan_.released;
  }
  if (cancels_.are_in_vain() && (!error || error->kind != ErrorKind::kCancelled)) {
    ending.warnings.push_back(text("QEMU refused to cancel the pull of disk '", plan_.disk_name,
                                   "': ", cancels_.refusal));
  }
  ending.error = std::move(error);
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

void StreamFollower::flush(Step step, Then then) {
  step_ = step;
  const JobPhase phase = step == Step::kFlush ? JobPhase::kWaits : JobPhase::kHasEnded;
  flush_node(monitor_, plan_.node, phase,
             [weak = weak_from_this(), step, then](Result<void> result) {
               if (const auto self = weak.lock()) {
                 self->post([step, then, result = std::move(result)](StreamFollower& follower) {
                   follower.end_step(step, then, result);
                 });
               }
             });
}

void StreamFollower::view(Step step, void (StreamFollower::*then)(const Result<GuestView>&)) {
  step_ = step;
  view_guest(monitor_, [weak = weak_from_this(), step, then](Result<GuestView> view) {
    if (const auto self = weak.lock()) {
      auto shared = std::make_shared<Result<GuestView>>(std::move(view));
      self->post([step, then, shared](StreamFollower& follower) {
        if (follower.step_ == step) {
          follower.step_ = Step::kNone;
          (follower.*then)(*shared);
        }
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
  if (!is_unknown(result)) {
    (this->*then)(std::move(result));
  }
  leave_when_answered();
}

void StreamFollower::stop(job::Stop how) {
  if (!finish_) {
    return;
  }
  if (how == job::Stop::kCancel) {
    unwanted_.is_aborted = true;
    look();
    return;
  }
  is_leaving_ = true;
  if (how == job::Stop::kAbandon) {
    leave();
  } else {
    leave_when_answered();
  }
}

/// A job that is done is not cancelled any more, so no answer to that will come.
void StreamFollower::leave_when_answered() {
  const bool is_cancel_owed = unwanted_.is_aborted && !cancels_.is_answered && !done_;
  if (finish_ && is_leaving_ && !is_cancel_owed && unanswered_requests_ == 0) {
    leave();
  }
}

void StreamFollower::leave() {
  finish(make_error(ErrorKind::kClosed, text("pull of disk '", plan_.disk_name,
                                             "' goes on in QEMU without this connection; the next "
                                             "one that is opened finishes it"))
             .with_path(plan_.path));
}

void StreamFollower::set_bandwidth(std::uint64_t bytes_per_second,
                                   std::function<void(Result<void>)> told) {
  // Before start it is the limit that the job was started with.
  if (host_ == nullptr || !finish_) {
    if (told) {
      told({});
    }
    return;
  }
  request(qmp::block_job_set_speed(plan_.job_id, bytes_per_second), std::move(told));
}

void StreamFollower::resume(std::function<void(Result<void>)> told) {
  if (board_ != nullptr) {
    board_->stopped_on = std::nullopt;
  }
  request(qmp::block_job_resume(plan_.job_id), std::move(told));
}

void StreamFollower::fail_rather_than_stop() {
  fails_rather_than_stops_ = true;
  if (finish_) {
    look();
  }
}

void StreamFollower::request(qmp::Command command, std::function<void(Result<void>)> told) {
  ++unanswered_requests_;
  monitor_->execute(std::move(command),
                    [weak = weak_from_this(), told = std::move(told)](Result<qmp::Json> answer) {
                      if (told) {
                        told(answer.ok() ? Result<void>() : std::move(answer).error());
                      }
                      if (const auto self = weak.lock()) {
                        self->post([](StreamFollower& follower) {
                          --follower.unanswered_requests_;
                          follower.look();
                          follower.leave_when_answered();
                        });
                      }
                    });
}

}  // namespace blockpull::driver
