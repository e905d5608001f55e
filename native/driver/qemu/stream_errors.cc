// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/stream_errors.h"

#include <utility>

#include "core/base/text.h"
#include "driver/qemu/qemu_words.h"

namespace blockpull::driver::qemu {
Error stream_failed(const StreamPlan& plan, ErrorKind kind, std::string_view said) {
  return make_error(kind, text("QEMU's pull of disk '", plan.disk_name, "' failed: ", said,
                               "; the disk keeps its backing file"))
      .with_path(plan.path);
}

Error stream_stopped(const StreamPlan& plan, ErrorKind on) {
  return stream_failed(plan, on, words::words_for(on));
}

Error stream_aborted(const StreamPlan& plan) {
  return make_error(ErrorKind::kCancelled, text("pull of disk '", plan.disk_name,
                                                "' was aborted; what was copied is kept"));
}

Error stream_ended(const StreamPlan& plan, const JobEnd& end) {
  if (end.was_cancelled && !end.error && !end.is_shutdown) {
    return make_error(ErrorKind::kCancelled,
                      text("pull of disk '", plan.disk_name, "' was cancelled by another program, ",
                           "by way of QEMU; what was copied is kept"));
  }
  const std::string said = end.error.value_or("QEMU was told to quit");
  return stream_failed(plan, words::kind_of_job_error(said), said);
}

Error stream_not_begun_again(const StreamPlan& plan, const Error& why) {
  return stream_failed(
             plan, why.kind,
             text("QEMU had skipped what it should have copied, so it was cancelled, and ",
                  "cannot be begun again: ", why.message))
      .with_cause(why);
}

std::string cancel_refused(const StreamPlan& plan, std::string_view said) {
  return text("QEMU refused to cancel the pull of disk '", plan.disk_name, "': ", said);
}

Error stream_vanished(const StreamPlan& plan, std::string_view why) {
  return make_error(ErrorKind::kJobVanished,
                    text("pull of disk '", plan.disk_name, "' vanished: ", why))
      .with_path(plan.path);
}

Error stream_left(const StreamPlan& plan) {
  return make_error(ErrorKind::kClosed, text("pull of disk '", plan.disk_name,
                                             "' goes on in QEMU without this connection; the next "
                                             "one that is opened finishes it"))
      .with_path(plan.path);
}

Error stream_silent(const StreamPlan& plan, std::string_view monitor) {
  return make_error(
             ErrorKind::kMonitorTimeout,
             text("QEMU does not answer on monitor '", monitor, "', so the pull of disk '",
                  plan.disk_name, "' is left in it; once it answers again, 'blockpull reap' ",
                  "brings what is left of the job to its end"))
      .with_path(plan.path);
}

Error stream_finalized_elsewhere(const StreamPlan& plan, Error why) {
  why.message =
      text("pull of disk '", plan.disk_name,
           "' was finalized by another program, so keep its backing files: ", why.message);
  return std::move(why).with_path(plan.path);
}

}  // namespace blockpull::driver::qemu
