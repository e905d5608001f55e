// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/stream_again.h"

#include <utility>

#include "driver/qemu/guest_view.h"
#include "driver/qemu/same_chain.h"

namespace blockpull::driver::qemu {
namespace {

/// The image was written to before, so it is read-only for a time only.
Error refusal_to_begin_again(Error error) {
  if (is_read_only_refusal(error)) {
    error.kind = ErrorKind::kGuestBusy;
    return error;
  }
  return refusal_of_stream(std::move(error));
}

}  // namespace

void begin_stream_again(const std::shared_ptr<qmp::Monitor>& monitor, const StreamPlan& plan,
                        std::uint64_t bytes_per_second,
                        std::function<void(Result<std::shared_ptr<JobWatch>>)> then) {
  query_guest(monitor, [monitor, plan, bytes_per_second,
                        then = std::move(then)](const Result<GuestView>& view) {
    if (!view.ok()) {
      then(view.error());
      return;
    }
    auto watch = JobWatch::begin(monitor, plan.job_id);
    if (qmp::find_job(view->jobs, plan.job_id) != nullptr) {
      // The answer to an earlier try was lost.
      then(std::move(watch));
    } else if (auto may = check_may_write(view->state); !may.ok()) {
      then(std::move(may).error());
    } else if (auto same = check_same_chain(*view, plan); !same.ok()) {
      then(std::move(same).error());
    } else {
      monitor->execute(command_for(plan, bytes_per_second),
                       [then, watch](const Result<qmp::Json>& answer) {
                         if (answer.ok()) {
                           then(watch);
                         } else {
                           then(refusal_to_begin_again(answer.error()));
                         }
                       });
    }
  });
}

}  // namespace blockpull::driver::qemu
