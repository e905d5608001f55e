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

/// What QEMU says of a job that was cancelled.
constexpr std::string_view kCanceled = "Operation canceled";

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
  board_->to_move = plan_.virtual_size;
  // Weak, since the monitor outlives the job; and the job's end drops the listener.
  const auto tell = [weak = weak_from_this()](void (StreamFollower::*what)()) {
    if (const auto self = weak.lock()) {
      self->post([what](StreamFollower& follower) { (follower.*what)(); });
    }
  };
  qmp::Listener listener;
  listener.on_event = [tell, id = plan_.job_id](const qmp::Event& event) {
    if (qmp::changed_job(event) == id) {
      tell(&StreamFollower::look);
    }
  };
  listener.on_link = [tell](qmp::Link link) {
    if (link == qmp::Link::kUp) {
      tell(&StreamFollower::look);
    } else if (link == qmp::Link::kGone) {
      tell(&StreamFollower::qemu_ended);
    }
  };
  listener_ = monitor_->listen(std::move(listener));
  look_again_later();
  if (plan_.dismissed) {
    conclude(*plan_.dismissed);
  }
}

void StreamFollower::look_again_later() {
  timer_ = host_->call_at(host_->clock().now() + kLookInterval, [this] {
    look_again_later();
    look();
  });
}

void StreamFollower::look() {
  if (asking_) {
    ask_again_ = true;
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

void StreamFollower::take_jobs(Result<qmp::Json> answer) {
  asking_ = false;
  if (std::exchange(ask_again_, false)) {
    look();
  }
  if (!answer.ok()) {
    // A connection that broke is made again, and then there is reason to look.
    return;
  }
  for (const qmp::BlockJob& job : qmp::read_block_jobs(*answer)) {
    if (job.id == plan_.job_id) {
      act(job);
      return;
    }
  }
  if (plan_.dismissed) {
    if (step_ == Step::kNone) {
      // Nobody knows how the last flush went.
      conclude(*plan_.dismissed);
    }
    return;
  }
  if (step_ < Step::kLastFlush) {
    vanish(
        "QEMU knows nothing of it any more: it was ended by another program, or QEMU was "
        "started anew");
  }
}

void StreamFollower::act(const qmp::BlockJob& job) {
  show(job);
  if (step_ != Step::kNone) {
    return;
  }
  const bool is_to_end = stop_.has_value() || flush_error_.has_value();
  switch (job.status) {
    case qmp::JobStatus::kConcluded:
      conclude(job);
      return;
    case qmp::JobStatus::kAborting:
    case qmp::JobStatus::kNull:
      return;
    case qmp::JobStatus::kPending:
      if (!is_to_end) {
        flush(Step::kFlush, &StreamFollower::flushed);
        return;
      }
      break;
    default:
      break;
  }
  if (is_to_end) {
    take_step(Step::kCancel, qmp::job_cancel(plan_.job_id), &StreamFollower::look_after);
  }
}

/// Progress only grows, and a job with nothing to do has gone over everything.
void StreamFollower::show(const qmp::BlockJob& job) {
  const std::uint64_t offset = std::min(job.offset, plan_.virtual_size);
  board_->settled = std::max(board_->settled.load(), offset);
  board_->moved = board_->settled.load();
}

void StreamFollower::take_step(Step step, qmp::Command command,
                               void (StreamFollower::*then)(Result<void>)) {
  step_ = step;
  monitor_->execute(std::move(command),
                    [weak = weak_from_this(), step, then](Result<qmp::Json> answer) {
                      if (const auto self = weak.lock()) {
                        self->post([step, then, answer = std::move(answer)](StreamFollower& f) {
                          f.on_step(step, then, answer.ok() ? Result<void>() : answer.error());
                        });
                      }
                    });
}

void StreamFollower::flush(Step step, void (StreamFollower::*then)(Result<void>)) {
  step_ = step;
  flush_node(monitor_, plan_.node, [weak = weak_from_this(), step, then](Result<void> result) {
    if (const auto self = weak.lock()) {
      self->post([step, then, result = std::move(result)](StreamFollower& follower) {
        follower.on_step(step, then, result);
      });
    }
  });
}

void StreamFollower::on_step(Step step, void (StreamFollower::*then)(Result<void>),
                             Result<void> result) {
  step_ = Step::kNone;
  const bool is_unknown = !result.ok() && (result.error().kind == ErrorKind::kMonitorLost ||
                                           result.error().kind == ErrorKind::kMonitorBusy ||
                                           result.error().kind == ErrorKind::kMonitorTimeout);
  if (is_unknown && step != Step::kDismiss) {
    // Done or not, the next look shows it.
    return;
  }
  (this->*then)(std::move(result));
}

void StreamFollower::flushed(Result<void> result) {
  if (!result.ok()) {
    flush_error_ = std::move(result).error();
    look();
    return;
  }
  if (stop_) {
    look();
    return;
  }
  // If we die here, the job waits at pending with everything durable, and the next one to look
  // finalizes it.
  take_step(Step::kFinalize, qmp::job_finalize(plan_.job_id), &StreamFollower::look_after);
}

void StreamFollower::look_after(Result<void> /*result*/) {
  // A refusal means that the status was another one by then.
  look();
}

void StreamFollower::conclude(const qmp::BlockJob& job) {
  if (!job.error) {
    // If we die here, the image stands on its own and its data is durable; its header may still
    // name the old backing file, which then is still right.
    flush(Step::kLastFlush, &StreamFollower::last_flushed);
    return;
  }
  if (flush_error_) {
    ending_.error = flush_error_;
  } else if (stop_ && *job.error == kCanceled) {
    ending_.error = make_error(
        ErrorKind::kCancelled,
        text("pull of disk '", plan_.disk_name, "' was aborted; what was copied is kept"));
  } else {
    ending_.error = failure_of(*job.error);
  }
  dismiss();
}

/// QEMU's words, with the kind that they stand for.
Error StreamFollower::failure_of(const std::string& said) const {
  ErrorKind kind = ErrorKind::kJobFailed;
  if (said == "No space left on device") {
    kind = ErrorKind::kNoSpace;
  } else if (said == "Input/output error") {
    kind = ErrorKind::kIo;
  }
  return make_error(kind, text("QEMU's pull of disk '", plan_.disk_name, "' failed: ", said,
                               "; the disk keeps its backing file"))
      .with_path(plan_.path);
}

void StreamFollower::last_flushed(Result<void> result) {
  if (result.ok() && flush_error_) {
    // Somebody else finalized it. What the failed flush was to write may be lost for good, and a
    // later one succeeds all the same.
    result = *flush_error_;
  }
  if (!result.ok()) {
    Error error = std::move(result).error();
    error.message = text("pull of disk '", plan_.disk_name,
                         "' is not durable, so keep its backing files: ", error.message);
    ending_.error = std::move(error).with_path(plan_.path);
  } else {
    ending_.released = plan_.released;
    if (!plan_.was_there) {
      end_->base = plan_.base;
    }
    board_->settled = plan_.virtual_size;
    board_->moved = plan_.virtual_size;
  }
  dismiss();
}

void StreamFollower::dismiss() {
  if (plan_.dismissed) {
    dismissed({});
    return;
  }
  take_step(Step::kDismiss, qmp::job_dismiss(plan_.job_id), &StreamFollower::dismissed);
}

/// One that could not be dismissed is found, concluded, by who looks next.
void StreamFollower::dismissed(Result<void> /*result*/) {
  if (ending_.error) {
    finish(std::move(ending_));
    return;
  }
  step_ = Step::kView;
  view_guest(monitor_, [weak = weak_from_this()](Result<GuestView> view) {
    if (const auto self = weak.lock()) {
      auto shared = std::make_shared<Result<GuestView>>(std::move(view));
      self->post([shared](StreamFollower& follower) { follower.take_view(*shared); });
    }
  });
}

/// What the chain is now, of which a job that was found knows nothing else.
void StreamFollower::take_view(const Result<GuestView>& view) {
  if (view.ok()) {
    if (const auto top = view->graph.find_node(plan_.node)) {
      const auto chain = view->graph.chain_from(*top);
      if (chain.size() > 1) {
        const BlockNode& below = view->graph.nodes()[chain[1]];
        end_->base = KeptLayer{below.filename, below.driver};
      } else {
        end_->base = std::optional<KeptLayer>();
      }
    }
  }
  finish(std::move(ending_));
}

void StreamFollower::qemu_ended() {
  if (step_ == Step::kView || step_ == Step::kDismiss) {
    finish(std::move(ending_));
    return;
  }
  vanish("QEMU has ended; pull the disk again, which goes on from what is durable");
}

void StreamFollower::vanish(std::string_view why) {
  job::Ending ending;
  ending.error = make_error(ErrorKind::kJobVanished,
                            text("pull of disk '", plan_.disk_name, "' vanished: ", why))
                     .with_path(plan_.path);
  finish(std::move(ending));
}

void StreamFollower::finish(job::Ending ending) {
  host_->cancel_call(std::exchange(timer_, 0));
  monitor_->ignore(listener_);
  {
    const std::lock_guard lock(mutex_);
    host_ = nullptr;
  }
  std::exchange(finish_, nullptr)(std::move(ending));
}

void StreamFollower::stop(job::Stop how) {
  if (!finish_) {
    return;
  }
  if (how == job::Stop::kCancel) {
    stop_ = how;
    look();
    return;
  }
  job::Ending ending;
  ending.error = make_error(ErrorKind::kClosed,
                            text("pull of disk '", plan_.disk_name,
                                 "' goes on in QEMU without this connection; the next one that "
                                 "is opened finishes it"))
                     .with_path(plan_.path);
  finish(std::move(ending));
}

void StreamFollower::set_bandwidth(std::uint64_t bytes_per_second) {
  // Before start it is the limit that the job was started with.
  if (host_ != nullptr && finish_) {
    monitor_->execute(qmp::block_job_set_speed(plan_.job_id, bytes_per_second),
                      [](const Result<qmp::Json>& /*answer*/) {});
  }
}

}  // namespace blockpull::driver
