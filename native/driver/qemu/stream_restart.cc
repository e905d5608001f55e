// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/stream_restart.h"

#include <utility>

#include "driver/qemu/guest_view.h"
#include "driver/qemu/same_chain.h"

namespace blockpull::driver::qemu {
namespace {

/// QEMU could write to the image before, so it is read-only only for a time.
Error refusal_to_restart(Error error) {
  if (is_read_only_refusal(error)) {
    error.kind = ErrorKind::kGuestBusy;
    return error;
  }
  return refusal_of_stream(std::move(error));
}

}  // namespace

void restart_stream(const std::shared_ptr<qmp::Monitor>& monitor, const StreamPlan& plan,
                    std::uint64_t bandwidth,
                    std::function<void(Result<std::shared_ptr<JobWatch>>)> done) {
  query_guest(monitor,
              [monitor, plan, bandwidth, done = std::move(done)](const Result<GuestView>& view) {
                if (!view.ok()) {
                  done(view.error());
                  return;
                }
                auto watch = JobWatch::begin(monitor, plan.job_id);
                if (qmp::find_job(view->jobs, plan.job_id) != nullptr) {
                  // The answer to an earlier attempt was lost.
                  done(std::move(watch));
                } else if (auto may = check_may_write(view->state); !may.ok()) {
                  done(std::move(may).error());
                } else if (auto same = check_same_chain(*view, plan); !same.ok()) {
                  done(std::move(same).error());
                } else {
                  monitor->execute(command_for(plan, bandwidth),
                                   [done, watch](const Result<qmp::Json>& answer) {
                                     if (answer.ok()) {
                                       done(watch);
                                     } else {
                                       done(refusal_to_restart(answer.error()));
                                     }
                                   });
                }
              });
}

}  // namespace blockpull::driver::qemu
