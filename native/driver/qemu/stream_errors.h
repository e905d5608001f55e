// SPDX-License-Identifier: Apache-2.0
//
// How a stream ends that does not complete, in words: what has become of it, and what the disk is
// now. Pure functions.

#pragma once

#include <string>
#include <string_view>

#include "core/base/error.h"
#include "driver/qemu/job_watch.h"
#include "driver/qemu/stream_plan.h"

namespace blockpull::driver::qemu {

/// The job failed with what was `said`, and its disk has its old chain.
[[nodiscard]] Error stream_failed(const StreamPlan& plan, ErrorKind kind, std::string_view said);

/// It had stopped on that error, kNoSpace or kIo, where it should fail.
[[nodiscard]] Error stream_stopped(const StreamPlan& plan, ErrorKind on);

/// kCancelled: somebody here asked for it.
[[nodiscard]] Error stream_aborted(const StreamPlan& plan);

/// An end that nobody here asked for: kCancelled where another client did, else QEMU's failure.
[[nodiscard]] Error stream_ended(const StreamPlan& plan, const JobEnd& end);

/// It was cancelled because QEMU had skipped something, and that is how it stays.
[[nodiscard]] Error stream_not_begun_again(const StreamPlan& plan, const Error& why);

/// A warning, of a job that ended otherwise than somebody wanted.
[[nodiscard]] std::string cancel_refused(const StreamPlan& plan, std::string_view said);

/// kJobVanished.
[[nodiscard]] Error stream_vanished(const StreamPlan& plan, std::string_view why);

/// kClosed: QEMU goes on with it.
[[nodiscard]] Error stream_left(const StreamPlan& plan);

/// kMonitorTimeout: QEMU does not answer who aborts.
[[nodiscard]] Error stream_silent(const StreamPlan& plan, std::string_view monitor);

/// Somebody else finalized what must not be trusted.
[[nodiscard]] Error stream_finalized_elsewhere(const StreamPlan& plan, Error why);

}  // namespace blockpull::driver::qemu
