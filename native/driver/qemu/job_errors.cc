// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/job_errors.h"

#include <utility>

#include "core/base/text.h"
#include "driver/qemu/qemu_words.h"

namespace blockpull::driver::qemu {
namespace {

/// "pull of disk 'vda'".
std::string subject(const JobPlan& plan) {
  return text(job::kind_name(plan.kind), " of disk '", plan.disk_name, "'");
}

}  // namespace

Error job_failed(const JobPlan& plan, ErrorKind kind, std::string_view said) {
  return make_error(kind, text("QEMU's ", subject(plan), " failed: ", said,
                               "; the disk keeps its backing file"))
      .with_path(plan.path);
}

Error job_stopped(const JobPlan& plan, ErrorKind on) {
  return job_failed(plan, on, words::words_for(on));
}

Error job_aborted(const JobPlan& plan) {
  return make_error(ErrorKind::kCancelled,
                    text(subject(plan), " was aborted; what was copied is kept"));
}

Error job_ended(const JobPlan& plan, const JobEnd& end) {
  if (end.was_cancelled && !end.error && !end.is_shutdown) {
    return make_error(
        ErrorKind::kCancelled,
        text(subject(plan), " was cancelled by another program; ", "what was copied is kept"));
  }
  const std::string said = end.error.value_or("QEMU was asked to quit");
  return job_failed(plan, words::kind_of_job_error(said), said);
}

Error job_not_restarted(const JobPlan& plan, const Error& why) {
  return job_failed(plan, why.kind,
                    text("QEMU skipped data that it should have copied, so the job was cancelled, "
                         "and it cannot be restarted: ",
                         why.message))
      .with_cause(why);
}

std::string cancel_refused(const JobPlan& plan, std::string_view said) {
  return text("QEMU refused to cancel the ", subject(plan), ": ", said);
}

Error job_vanished(const JobPlan& plan, std::string_view why) {
  return make_error(ErrorKind::kJobVanished, text(subject(plan), " vanished: ", why))
      .with_path(plan.path);
}

Error job_left(const JobPlan& plan) {
  return make_error(ErrorKind::kClosed, text(subject(plan),
                                             " continues in QEMU; the next connection that is "
                                             "opened finishes it"))
      .with_path(plan.path);
}

Error job_silent(const JobPlan& plan, std::string_view monitor) {
  return make_error(ErrorKind::kMonitorTimeout,
                    text("QEMU does not answer on monitor '", monitor, "', so the ", subject(plan),
                         " was left in QEMU; once QEMU answers again, run 'blockpull reap' ",
                         "to finish the job"))
      .with_path(plan.path);
}

Error job_finalized_elsewhere(const JobPlan& plan, Error why) {
  why.message = text(subject(plan),
                     " was finalized by another program, so keep its backing files: ", why.message);
  return std::move(why).with_path(plan.path);
}

}  // namespace blockpull::driver::qemu
