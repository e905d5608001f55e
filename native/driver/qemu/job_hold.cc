// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/job_hold.h"

#include "driver/qemu/qemu_words.h"

namespace blockpull::driver::qemu {
namespace {

bool has_stopped_by_itself(const qmp::BlockJob& job) {
  return job.is_pending() || job.status == qmp::JobStatus::kWaiting || job.stopped_on.has_value();
}

}  // namespace

void JobHold::observe(const qmp::BlockJob* job, const RunState& state, std::uint64_t switches) {
  inactive_.hear_switches(switches);
  inactive_.observe(job == nullptr || stands(*job), state);
}

/// Whether the job certainly does nothing to the image until a client resumes or finalizes it.
bool JobHold::stands(const qmp::BlockJob& job) const {
  return has_stopped_by_itself(job) || is_held(job);
}

bool JobHold::is_held(const qmp::BlockJob& job) const {
  return is_paused_ && job.status == qmp::JobStatus::kPaused;
}

JobHold::Move JobHold::next(const qmp::BlockJob& job) const {
  if (must_stand()) {
    return stands(job) || is_paused_ ? Move::kWait : Move::kPause;
  }
  if (has_stopped_by_itself(job)) {
    return Move::kNothing;
  }
  // QEMU pauses jobs for moments of its own. Resuming a job that nobody paused does no harm.
  const bool is_left = may_be_left_paused_ && job.status == qmp::JobStatus::kPaused;
  return is_paused_ || is_left ? Move::kResume : Move::kNothing;
}

void JobHold::pause_answered(const Result<void>& answer) {
  is_paused_ = answer.ok() || words::already_paused(answer.error());
}

void JobHold::resuming() {
  inactive_.let_go();
  is_paused_ = false;
  // If the connection breaks now, nobody knows whether the job is paused.
  may_be_left_paused_ = true;
}

void JobHold::resume_answered(const Result<void>& answer) {
  is_paused_ = false;
  may_be_left_paused_ = !answer.ok() && !words::not_paused(answer.error());
}

void JobHold::restart() {
  is_paused_ = false;
  may_be_left_paused_ = false;
  inactive_.restart();
}

}  // namespace blockpull::driver::qemu
