// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/start_stream.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/qmp/commands.h"
#include "driver/qemu/guest_view.h"
#include "driver/qemu/own_nodes.h"
#include "driver/qemu/qemu_words.h"

namespace blockpull::driver::qemu {
namespace {

using qmp::Json;

/// QEMU's BlockdevOnError.
std::string_view policy_name(OnError policy) {
  switch (policy) {
    case OnError::kStop:
      return "stop";
    case OnError::kEnospc:
      return "enospc";
    case OnError::kReport:
      break;
  }
  return "report";
}

class StreamStart : public std::enable_shared_from_this<StreamStart> {
 public:
  StreamStart(std::weak_ptr<job::Host> host, std::shared_ptr<qmp::Monitor> monitor,
              GuestPullOptions options, FindTrackedJob find_tracked_job,
              std::function<void(Result<StartedStream>)> done)
      : host_(std::move(host)),
        monitor_(std::move(monitor)),
        options_(std::move(options)),
        find_tracked_job_(std::move(find_tracked_job)),
        done_(std::move(done)) {}

  void begin() {
    view_guest(host_.lock(), monitor_, [self = shared_from_this()](Result<GuestView> view) {
      auto ready = self->prepare(std::move(view));
      if (!ready.ok()) {
        self->done_(std::move(ready).error());
      }
    });
  }

 private:
  Result<void> prepare(Result<GuestView> viewed) {
    BLOCKPULL_TRY(view, std::move(viewed));
    BLOCKPULL_TRY(found, preflight(view, options_, find_tracked_job_));
    if (!found.refusals.empty()) {
      return std::move(found.refusals.front());
    }
    if (found.tracked_job != nullptr && !found.there) {
      // QEMU is done with it, and its tracker soon will be. The chain is a different one then.
      found.tracked_job->when_ended([self = shared_from_this()] { self->begin(); });
      return {};
    }
    remove_orphaned_nodes(monitor_, view.graph.node_names());
    plan_ = std::move(found.plan);
    watch_ = JobWatch::begin(monitor_, plan_.job_id);
    if (found.there) {
      done_(
          StartedStream{*std::move(found.there), std::move(watch_), std::move(found.tracked_job)});
    } else if (plan_.has_work) {
      stream();
    } else {
      done_(StartedStream{std::move(plan_), std::move(watch_), nullptr});
    }
    return {};
  }

  void stream() {
    monitor_->execute(
        command_for(plan_, options_.bandwidth), [self = shared_from_this()](Result<Json> answer) {
          if (answer.ok()) {
            self->done_(StartedStream{std::move(self->plan_), std::move(self->watch_), nullptr});
          } else {
            self->take_refusal(std::move(answer).error());
          }
        });
  }

  void take_refusal(Error error) {
    if (error.kind == ErrorKind::kMonitorLost) {
      look_for_job(std::move(error));
      return;
    }
    if (error.kind == ErrorKind::kMonitorTimeout) {
      // QEMU may still start it, while the caller believes that nothing was started. The monitor is
      // held until the cancel is answered, since a released monitor sends nothing more.
      monitor_->execute(qmp::job_cancel(plan_.job_id),
                        [self = shared_from_this()](const Result<Json>& /*answer*/) {});
    }
    if (is_read_only_refusal(error) && !std::exchange(looked_again_, true)) {
      // The images may have gone inactive since the view, with a migration; a new view then reports
      // that.
      begin();
      return;
    }
    done_(refusal_of_stream(std::move(error)));
  }

  /// The answer was lost with the connection; the next connection shows whether the job was
  /// started.
  void look_for_job(Error lost) {
    monitor_->execute(qmp::query_block_jobs(), [self = shared_from_this(), lost = std::move(lost)](
                                                   const Result<Json>& answer) {
      if (answer.ok()) {
        self->take_jobs(qmp::read_block_jobs(*answer), lost);
        return;
      }
      Error unknown = lost;
      unknown.message += "; QEMU may have started the pull, which the next call takes over";
      self->done_(std::move(unknown));
    });
  }

  void take_jobs(const std::vector<qmp::BlockJob>& jobs, const Error& lost) {
    if (qmp::find_job(jobs, plan_.job_id) != nullptr) {
      done_(StartedStream{std::move(plan_), std::move(watch_), nullptr});
    } else if (asked_again_) {
      done_(lost);
    } else {
      asked_again_ = true;
      stream();
    }
  }

  const std::weak_ptr<job::Host> host_;
  const std::shared_ptr<qmp::Monitor> monitor_;
  const GuestPullOptions options_;
  const FindTrackedJob find_tracked_job_;
  const std::function<void(Result<StartedStream>)> done_;
  StreamPlan plan_;
  std::shared_ptr<JobWatch> watch_;
  bool asked_again_ = false;
  bool looked_again_ = false;
};

}  // namespace

bool is_read_only_refusal(const Error& error) {
  return error.kind == ErrorKind::kQemuError && words::is_read_only(error);
}

Error refusal_of_stream(Error error) {
  if (error.kind != ErrorKind::kQemuError) {
    return error;
  }
  if (words::disk_has_job(error)) {
    error.kind = ErrorKind::kJobActive;
  } else if (words::no_such_base(error)) {
    error.kind = ErrorKind::kNoBase;
  } else if (words::no_such_disk(error)) {
    error.kind = ErrorKind::kNoDisk;
  } else if (words::is_read_only(error)) {
    error.kind = ErrorKind::kReadOnly;
  } else if (words::command_unknown(error)) {
    error.kind = ErrorKind::kUnsupported;
  }
  return error;
}

qmp::Command command_for(const StreamPlan& plan, std::uint64_t bandwidth) {
  qmp::BlockStream stream;
  stream.job_id = plan.job_id;
  stream.device = plan.node;
  stream.base_node = plan.base_node;
  stream.backing_file = plan.backing_file;
  stream.speed = bandwidth;
  stream.on_error = policy_name(plan.on_error);
  return qmp::block_stream(stream);
}

void start_stream(const std::shared_ptr<job::Host>& host,
                  const std::shared_ptr<qmp::Monitor>& monitor, const GuestPullOptions& options,
                  FindTrackedJob find_tracked_job,
                  std::function<void(Result<StartedStream>)> done) {
  std::make_shared<StreamStart>(host, monitor, options, std::move(find_tracked_job),
                                std::move(done))
      ->begin();
}

}  // namespace blockpull::driver::qemu
