// SPDX-License-Identifier: Apache-2.0

#include "virt/guests/pull_in_guest.h"

#include <utility>

#include "core/base/text.h"
#include "virt/chains/released_layers.h"
#include "virt/guests/tracked_job.h"
#include "virt/session/checks.h"
#include "virt/session/pull_refusal.h"
#include "virt/session/waiting_call.h"

namespace blockpull::virt {
namespace {

/// A pull may join an orphaned job that this connection tracks; every other tracked job has a
/// caller.
driver::qemu::FindTrackedJob tracked_jobs_in(const std::shared_ptr<Connection>& connection,
                                             const qmp::Monitor& monitor) {
  return [connection, path = monitor.path()](const std::string& node) {
    auto job = connection->engine().registry().find_in_guest(path, node);
    const bool is_orphan = job != nullptr && connection->jobs().is_orphan(*job);
    return driver::qemu::TrackedJob{job != nullptr, is_orphan ? std::move(job) : nullptr};
  };
}

/// The same for a pull that may be given up. Trackers are looked up as the last step before the
/// request to QEMU. If the job is tracked and cannot be joined, QEMU is not asked.
driver::qemu::FindTrackedJob tracked_jobs_while_wanted(driver::qemu::FindTrackedJob find,
                                                       std::shared_ptr<PullStart> start) {
  return [find = std::move(find), start = std::move(start)](const std::string& node) {
    return start->ask() ? find(node) : driver::qemu::TrackedJob{true, nullptr};
  };
}

/// The outcome of a pull that was given up before QEMU answered.
Failure given_up(const std::string& path, bool was_asked) {
  const auto* const what = was_asked ? "' did not answer 'block-stream' in time; if it starts the "
                                       "pull later, 'blockpull reap' finishes it"
                                     : "' did not answer in time; nothing was started";
  Failure failure = report(ErrorKind::kMonitorTimeout, text("QEMU behind '", path, what));
  if (was_asked) {
    failure.error.qemu = QemuOrigin{"block-stream", {}, {}};
  }
  failure.error.path = path;
  return failure;
}

/// An orphaned job continues under the limit of the new caller. It also continues if it has stopped
/// on an error: the earlier caller may have asked for that, and the new one may not know.
void go_on_as_asked(job::Job& job, const GuestPullRequest& request) {
  job.set_bandwidth(request.options.bandwidth);
  job.resume([](const blockpull::Result<void>& /*answer*/) {});
  if (request.options.on_error == driver::OnError::kReport) {
    job.fail_rather_than_stop();
  }
}

/// The earlier caller did not know the siblings of the one that joins, so those are searched as
/// well.
std::function<void(const job::Outcome&)> judged_by_siblings(
    const std::shared_ptr<Connection>& connection, const GuestPullRequest& request,
    std::function<void(const job::Outcome&)> on_end) {
  ReleaseScope scope = release_scope(connection, request.on.domain.uuid, request.siblings);
  scope.connection = nullptr;
  const auto judge = judge_release(connection->engine(), {{request.on.disk.source, {}}}, scope);
  return [connection, judge, on_end = std::move(on_end)](const job::Outcome& outcome) {
    connection->engine().post([connection, judge, on_end, outcome] {
      judge(outcome, [connection, on_end](const job::Outcome& judged) { on_end(judged); });
    });
  };
}

/// Gives an orphaned job to the caller of a pull. It may have ended by now.
Result<std::shared_ptr<job::Job>> join(const std::shared_ptr<Connection>& connection,
                                       GuestPullRequest& request, std::shared_ptr<job::Job> job) {
  if (!connection->jobs().claim_orphan(*job) && !job->outcome()) {
    return job_active_on(request.on.disk.target);
  }
  go_on_as_asked(*job, request);
  auto on_end = std::move(request.on_end);
  if (on_end && !request.siblings.empty()) {
    on_end = judged_by_siblings(connection, request, std::move(on_end));
  }
  job->when_ended([job, on_end = std::move(on_end)] {
    if (on_end) {
      on_end(job->outcome().value_or(job::Outcome{}));
    }
  });
  return job;
}

}  // namespace

/// Two of the kinds concern QEMU's devices here; elsewhere they concern a file.
Failure refused_in_guest(Error error, const GuestPullRequest& request) {
  const Disk& disk = request.on.disk;
  if (error.kind == ErrorKind::kNoDisk) {
    return no_such_disk(disk, error);
  }
  if (error.kind == ErrorKind::kReadOnly) {
    Failure failure =
        report(error.kind, ErrorCode::kInternalError, ErrorDomain::kQemu, error.message);
    failure.error = std::move(failure.error).with_cause(std::move(error));
    return failure;
  }
  if (error.kind == ErrorKind::kNoBase && request.base_refusal) {
    return *request.base_refusal;
  }
  if (error.kind == ErrorKind::kOverflow && request.late_refusal) {
    return *request.late_refusal;
  }
  return pull_refused(std::move(error),
                      {disk, request.options.base, request.options.require_relative});
}

void pull_in_guest(const std::shared_ptr<Connection>& connection, GuestPullRequest request,
                   Answer<std::shared_ptr<job::Job>> done) {
  const auto monitor = begin_waiting(*connection, request.on.domain, request.function, done);
  if (monitor == nullptr) {
    return;
  }
  request.options.disk = name_for_qemu(request.on.disk);
  const auto start = request.start ? request.start : std::make_shared<PullStart>();
  start->when_given_up(
      [done, path = monitor->path()](bool was_asked) { done(given_up(path, was_asked)); });
  const auto asked = std::make_shared<GuestPullRequest>(std::move(request));
  driver::qemu::prepare_guest_pull(
      connection->shared_engine(), monitor, asked->options,
      tracked_jobs_while_wanted(tracked_jobs_in(connection, *monitor), start),
      [connection, asked, start,
       done = std::move(done)](blockpull::Result<driver::qemu::GuestPullStart> started) {
        if (!start->take()) {
          // If a job was started, nobody has it: it is cancelled.
          return;
        }
        if (!started.ok()) {
          done(refused_in_guest(std::move(started).error(), *asked));
          return;
        }
        if (started->joined != nullptr) {
          done(join(connection, *asked, std::move(started->joined)));
          return;
        }
        if (asked->on.disk.source.empty()) {
          asked->on.disk.target = started->prepared->plan().disk_name;
          asked->on.disk.source = started->prepared->plan().path;
        }
        const bool was_there = started->prepared->was_there();
        auto job =
            track(connection, asked->on, std::move(started->prepared), asked->options.bandwidth,
                  Asked{true, std::move(asked->on_end), asked->siblings});
        if (job == nullptr) {
          done(connection_closed(asked->function));
          return;
        }
        if (was_there) {
          go_on_as_asked(*job, *asked);
        }
        done(std::move(job));
      });
}

void plan_in_guest(const std::shared_ptr<Connection>& connection, GuestPullRequest request,
                   Answer<driver::qemu::GuestPlan> done) {
  const auto monitor = begin_waiting(*connection, request.on.domain, request.function, done);
  if (monitor == nullptr) {
    return;
  }
  request.options.disk = name_for_qemu(request.on.disk);
  driver::qemu::plan_guest_pull(
      connection->shared_engine(), monitor, request.options, tracked_jobs_in(connection, *monitor),
      [request, done = std::move(done)](blockpull::Result<driver::qemu::GuestPlan> plan) {
        if (plan.ok()) {
          done(std::move(plan).value());
        } else {
          done(refused_in_guest(std::move(plan).error(), request));
        }
      });
}

}  // namespace blockpull::virt
