// SPDX-License-Identifier: Apache-2.0
//
// The errors of a job that does not complete: what became of it, and the state of its disk. Pure
// functions.

#pragma once

#include <string>
#include <string_view>

#include "core/base/error.h"
#include "driver/qemu/job_plan.h"
#include "driver/qemu/job_watch.h"

namespace blockpull::driver::qemu {

/// The job failed with QEMU's words `said`, and its disk has its old chain.
[[nodiscard]] Error job_failed(const JobPlan& plan, ErrorKind kind, std::string_view said);

/// It stopped on that error, kNoSpace or kIo, and the caller wanted it to fail.
[[nodiscard]] Error job_stopped(const JobPlan& plan, ErrorKind on);

/// kCancelled: this process aborted it.
[[nodiscard]] Error job_aborted(const JobPlan& plan);

/// An end that this process did not ask for: kCancelled if another client cancelled it, otherwise
/// QEMU's failure.
[[nodiscard]] Error job_ended(const JobPlan& plan, const JobEnd& end);

/// It was cancelled because QEMU had skipped something, and could not be restarted.
[[nodiscard]] Error job_not_restarted(const JobPlan& plan, const Error& why);

/// A warning: QEMU refused to cancel the job.
[[nodiscard]] std::string cancel_refused(const JobPlan& plan, std::string_view said);

/// kJobVanished.
[[nodiscard]] Error job_vanished(const JobPlan& plan, std::string_view why);

/// kClosed: QEMU continues it.
[[nodiscard]] Error job_left(const JobPlan& plan);

/// kMonitorTimeout: QEMU does not answer the abort.
[[nodiscard]] Error job_silent(const JobPlan& plan, std::string_view monitor);

/// Another client finalized a job that must not be trusted.
[[nodiscard]] Error job_finalized_elsewhere(const JobPlan& plan, Error why);

}  // namespace blockpull::driver::qemu
