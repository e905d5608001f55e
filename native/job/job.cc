// SPDX-License-Identifier: Apache-2.0

#include "job/job.h"

#include <utility>

namespace blockpull::job {
namespace {

/// How often the reported rate is measured, and the time over which it is an average.
constexpr Nanoseconds kSampleInterval{500'000'000};

State state_of(const Ending& ending) {
  if (!ending.error) {
    return State::kCompleted;
  }
  switch (ending.error->kind) {
    case ErrorKind::kCancelled:
      return State::kCancelled;
    case ErrorKind::kJobVanished:
    case ErrorKind::kClosed:
    case ErrorKind::kMonitorTimeout:
      return State::kUnknown;
    default:
      return State::kFailed;
  }
}

}  // namespace

const char* state_name(State state) {
  switch (state) {
    case State::kRunning:
      return "running";
    case State::kAborting:
      return "aborting";
    case State::kCompleted:
      return "completed";
    case State::kFailed:
      return "failed";
    case State::kCancelled:
      return "cancelled";
    case State::kUnknown:
      return "unknown";
  }
  return "failed";
}

Job::Job(Host& host, std::shared_ptr<Work> work, Registry::Claim claim, JobOptions options)
    : host_(host),
      work_(std::move(work)),
      claim_(std::move(claim)),
      kind_(work_->kind()),
      total_(work_->total()),
      options_(std::move(options)),
      bandwidth_(options_.bandwidth),
      started_(host.clock().now()),
      sampled_at_(started_) {}

Job::~Job() = default;

std::shared_ptr<Job> Job::start(Host& host, std::shared_ptr<Work> work, Registry::Claim claim,
                                JobOptions options) {
  auto job =
      std::shared_ptr<Job>(new Job(host, std::move(work), std::move(claim), std::move(options)));
  job->claim_.set_job(job);
  host.post([job] { job->begin(); });
  return job;
}

void Job::begin() {
  sample_rate();
  work_->set_bandwidth(bandwidth_.load());
  work_->start(host_, counters_, [self = shared_from_this()](Ending ending) {
    self->work_finished(std::move(ending));
  });
  has_begun_ = true;
  for (const auto& call : std::exchange(early_, {})) {
    call(finished_ ? nullptr : work_.get());
  }
}

/// Another thread may find the job before its begin() is posted.
void Job::post(std::function<void(Work*)> call) {
  host_.post([self = shared_from_this(), call = std::move(call)]() mutable {
    if (self->has_begun_) {
      call(self->finished_ ? nullptr : self->work_.get());
    } else {
      self->early_.push_back(std::move(call));
    }
  });
}

void Job::sample_rate() {
  const Nanoseconds now = host_.clock().now();
  const std::uint64_t moved = counters_.moved.load(std::memory_order_relaxed);
  if (now > sampled_at_) {
    const double seconds = std::chrono::duration<double>(now - sampled_at_).count();
    rate_ = static_cast<std::uint64_t>(static_cast<double>(moved - sampled_moved_) / seconds);
  }
  sampled_at_ = now;
  sampled_moved_ = moved;
  sample_ticket_ = host_.call_at(now + kSampleInterval, [this] { sample_rate(); });
}

void Job::stop(Stop how) {
  State expected = State::kRunning;
  state_.compare_exchange_strong(expected, State::kAborting);
  if (has_ended(expected)) {
    return;
  }
  post([how](Work* work) {
    if (work != nullptr) {
      work->stop(how);
    }
  });
}

void Job::set_bandwidth(std::uint64_t bandwidth) {
  bandwidth_ = bandwidth;
  post([bandwidth](Work* work) {
    if (work != nullptr) {
      work->set_bandwidth(bandwidth);
    }
  });
}

void Job::try_bandwidth(std::uint64_t bandwidth, std::function<void(Result<void>)> done) {
  post([self = shared_from_this(), bandwidth, done = std::move(done)](Work* work) {
    if (work == nullptr) {
      done(make_error(ErrorKind::kNoJob, "the job had ended before its limit was changed"));
      return;
    }
    work->try_bandwidth(bandwidth, [self, bandwidth, done](Result<void> result) {
      if (result.ok()) {
        self->bandwidth_ = bandwidth;
      }
      done(std::move(result));
    });
  });
}

void Job::resume(std::function<void(Result<void>)> done) {
  post([done = std::move(done)](Work* work) {
    if (work == nullptr) {
      done(make_error(ErrorKind::kNoJob, "the job had ended before it was resumed"));
    } else {
      work->resume(done);
    }
  });
}

void Job::fail_rather_than_stop() {
  post([](Work* work) {
    if (work != nullptr) {
      work->fail_rather_than_stop();
    }
  });
}

/// Called on the host's thread from inside the work item, which must not be destroyed before the
/// call has returned.
void Job::work_finished(Ending ending) {
  finished_ = true;
  host_.cancel_call(sample_ticket_);
  auto self = shared_from_this();
  auto shared_ending = std::make_shared<Ending>(std::move(ending));
  host_.post([self, shared_ending] {
    self->host_.run_blocking([self, shared_ending] { self->close_work(*shared_ending); },
                             [self] { self->judge(); });
  });
}

/// On a blocking thread: closes the files, then does everything that must precede the report of the
/// end.
void Job::close_work(const Ending& ending) {
  work_.reset();
  claim_.release();
  Outcome outcome;
  outcome.kind = kind_;
  outcome.state = state_of(ending);
  outcome.error = ending.error;
  outcome.bytes_moved = counters_.moved.load();
  outcome.seconds = std::chrono::duration<double>(host_.clock().now() - started_).count();
  outcome.method = counters_.method.load();
  outcome.released = ending.released;
  outcome.warnings = ending.warnings;
  outcome.verified = ending.verified && !ending.error;
  outcome.durable = ending.durable && !ending.error;
  outcome.trailing = ending.trailing;
  if (options_.before_end) {
    options_.before_end(outcome);
  }
  const std::lock_guard lock(mutex_);
  outcome_ = std::move(outcome);
}

void Job::judge() {
  // It may call back at once, and announce() clears the options.
  const EndJudge judge = std::exchange(options_.judge_end, nullptr);
  if (!judge) {
    announce();
    return;
  }
  judge(outcome_, [self = shared_from_this()](Outcome judged) {
    {
      const std::lock_guard lock(self->mutex_);
      self->outcome_ = std::move(judged);
    }
    self->announce();
  });
}

void Job::announce() {
  state_ = outcome_.state;
  if (options_.on_end) {
    options_.on_end(outcome_);
  }
  // The options may hold this job.
  options_ = {};
  std::vector<std::function<void()>> waiting;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    waiting.swap(waiting_);
  }
  for (const auto& told : waiting) {
    told();
  }
}

Progress Job::progress() const {
  Progress progress;
  progress.kind = kind_;
  progress.state = state_.load();
  progress.settled = counters_.settled.load(std::memory_order_relaxed);
  progress.total = total_;
  progress.moved = counters_.moved.load(std::memory_order_relaxed);
  progress.to_move = counters_.to_move.load(std::memory_order_relaxed);
  progress.bytes_per_second = rate_.load(std::memory_order_relaxed);
  progress.bandwidth = bandwidth_.load();
  progress.method = counters_.method.load();
  progress.stopped_on = has_ended(progress.state) ? std::nullopt : counters_.stopped_on.load();
  progress.phase = counters_.phase.load();
  progress.silent_ns = counters_.silent_ns.load();
  return progress;
}

std::optional<Outcome> Job::outcome() const {
  // Not ended_, which is set after the listener has run. Code that sees an end in progress(),
  // including the listener, must find the outcome.
  const std::lock_guard lock(mutex_);
  return has_ended(state_.load()) ? std::optional(outcome_) : std::nullopt;
}

void Job::when_ended(std::function<void()> done) {
  {
    const std::lock_guard lock(mutex_);
    if (!ended_) {
      waiting_.push_back(std::move(done));
      return;
    }
  }
  done();
}

}  // namespace blockpull::job
