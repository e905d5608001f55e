// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/start_stream.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/text.h"
#include "driver/qemu/flush.h"
#include "driver/qemu/job_id.h"

namespace blockpull::driver {
namespace {

using qmp::Json;

/// QEMU's refusal of block-stream, with the kind that its words stand for.
Error refusal(Error error) {
  if (error.kind != ErrorKind::kQemuError) {
    return error;
  }
  const auto says = [&error](std::string_view words) {
    return error.message.find(words) != std::string::npos;
  };
  if (says("already in use") || says("is busy")) {
    error.kind = ErrorKind::kJobActive;
  } else if (says("is not a backing image of") || says("in the backing chain") ||
             says("Cannot find device='' nor node-name='")) {
    error.kind = ErrorKind::kNoBase;
  } else if (says("Cannot find device=") || error.operation == "DeviceNotFound") {
    error.kind = ErrorKind::kNoDisk;
  } else if (says("read-only")) {
    error.kind = ErrorKind::kReadOnly;
  } else if (error.operation == "CommandNotFound" || says("'auto-finalize' is unexpected")) {
    error.kind = ErrorKind::kUnsupported;
  }
  return error;
}

/// QEMU before 3.1 cannot hold a job at pending, so its result cannot be made durable.
Result<void> check_commands(const qmp::Peer& peer) {
  if (peer.offers("block-stream") && peer.offers("job-finalize")) {
    return {};
  }
  return make_error(ErrorKind::kUnsupported,
                    text("QEMU ", peer.version.major, ".", peer.version.minor,
                         " cannot hold a job until its data is durable ('job-finalize' is "
                         "missing), so a pull under its guest is not supported; QEMU 4.2 can"));
}

/// The job of the plan's id that an earlier process began; kJobActive when it cannot be taken over.
Result<std::optional<StreamPlan>> find_own_job(const GuestView& view, const StreamPlan& plan) {
  const auto job =
      std::find_if(view.jobs.begin(), view.jobs.end(),
                   [&plan](const qmp::BlockJob& any) { return any.id == plan.job_id; });
  if (job == view.jobs.end()) {
    return std::optional<StreamPlan>();
  }
  const auto path_of = [](const std::optional<KeptLayer>& base) {
    return base ? base->path : std::string();
  };
  auto there = plan_of_job(view, *job);
  if (!there || path_of(there->base) != path_of(plan.base)) {
    return make_error(ErrorKind::kJobActive,
                      text("job '", plan.job_id,
                           "', which an earlier process began, keeps another base or has "
                           "concluded already; wait for its end"));
  }
  there->disk_name = plan.disk_name;
  return there;
}

class StreamStart : public std::enable_shared_from_this<StreamStart> {
 public:
  StreamStart(std::shared_ptr<qmp::Monitor> monitor, GuestPullOptions options,
              FindFollower find_follower, std::function<void(Result<StartedStream>)> then)
      : monitor_(std::move(monitor)),
        options_(std::move(options)),
        find_follower_(std::move(find_follower)),
        then_(std::move(then)) {}

  void begin() {
    view_guest(monitor_, [self = shared_from_this()](Result<GuestView> view) {
      auto ready = self->prepare(std::move(view));
      if (!ready.ok()) {
        self->then_(std::move(ready).error());
      }
    });
  }

 private:
  Result<void> prepare(Result<GuestView> viewed) {
    BLOCKPULL_TRY(view, std::move(viewed));
    BLOCKPULL_TRY(found, preflight(view, options_, find_follower_));
    if (!found.refusals.empty()) {
      return std::move(found.refusals.front());
    }
    if (found.follower != nullptr && !found.there) {
      // QEMU is done with it; what its follower has yet to do is not waited for in vain.
      found.follower->when_ended([self = shared_from_this()] { self->begin(); });
      return {};
    }
    remove_left_filters(monitor_, view.graph);
    plan_ = std::move(found.plan);
    watch_ = JobWatch::begin(monitor_, plan_.job_id);
    if (found.there) {
      take_over(*std::move(found.there), std::move(found.follower));
    } else {
      stream();
    }
    return {};
  }

  /// A job of ours that an earlier process began. One that has stopped on an error goes on: a pull
  /// was asked for. QEMU refuses that for one that has not.
  void take_over(StreamPlan found, std::shared_ptr<job::Job> follower) {
    const auto ignore = [](const Result<Json>& /*answer*/) {};
    monitor_->execute(qmp::block_job_set_speed(found.job_id, options_.bytes_per_second), ignore);
    monitor_->execute(qmp::block_job_resume(found.job_id), ignore);
    then_(StartedStream{std::move(found), std::move(watch_), true, std::move(follower)});
  }

  void stream() {
    qmp::BlockStream stream;
    stream.job_id = plan_.job_id;
    stream.device = plan_.node;
    stream.base_node = plan_.base_node;
    stream.backing_file = plan_.backing_file;
    stream.speed = options_.bytes_per_second;
    stream.on_error = options_.on_error;
    stream.auto_finalize = !options_.will_be_followed;
    monitor_->execute(qmp::block_stream(stream), [self = shared_from_this()](Result<Json> answer) {
      if (answer.ok()) {
        self->then_(StartedStream{std::move(self->plan_), std::move(self->watch_), false, nullptr});
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
      // QEMU may begin it yet; whoever asked believes that nothing was begun.
      // The monitor is held until that is answered: one that is let go sends nothing more.
      monitor_->execute(qmp::job_cancel(plan_.job_id),
                        [self = shared_from_this()](const Result<Json>& /*answer*/) {});
    }
    then_(refusal(std::move(error)));
  }

  /// The answer was lost with the connection; whether the job was begun, the next connection shows.
  void look_for_job(Error lost) {
    monitor_->execute(qmp::query_block_jobs(), [self = shared_from_this(), lost = std::move(lost)](
                                                   const Result<Json>& answer) {
      if (answer.ok()) {
        self->take_jobs(qmp::read_block_jobs(*answer), lost);
        return;
      }
      Error unknown = lost;
      unknown.message += "; it may have begun the pull, which the next call takes over";
      self->then_(std::move(unknown));
    });
  }

  void take_jobs(const std::vector<qmp::BlockJob>& jobs, const Error& lost) {
    const bool has_begun = std::any_of(jobs.begin(), jobs.end(), [this](const qmp::BlockJob& job) {
      return job.id == plan_.job_id;
    });
    if (has_begun) {
      then_(StartedStream{std::move(plan_), std::move(watch_), false, nullptr});
    } else if (asked_again_) {
      then_(lost);
    } else {
      asked_again_ = true;
      stream();
    }
  }

  const std::shared_ptr<qmp::Monitor> monitor_;
  const GuestPullOptions options_;
  const FindFollower find_follower_;
  const std::function<void(Result<StartedStream>)> then_;
  StreamPlan plan_;
  std::shared_ptr<JobWatch> watch_;
  bool asked_again_ = false;
};

/// Fills in what a job that was found takes in and keeps: it works on what drops out, and what lies
/// below that stays.
void read_layers(const BlockGraph& graph, std::size_t top, StreamPlan& plan) {
  const auto chain = graph.chain_from(top);
  for (std::size_t i = 1; i < chain.size(); ++i) {
    const BlockNode& layer = graph.nodes()[chain[i]];
    if (!graph.is_job_on(plan.job_id, chain[i])) {
      plan.base = KeptLayer{layer.filename, layer.driver};
      plan.has_work = i > 1;
      return;
    }
    if (!graph.is_shared(chain, chain[i])) {
      plan.released.push_back(layer.filename);
    }
  }
  plan.has_work = chain.size() > 1;
}

}  // namespace

Result<Preflight> preflight(const GuestView& view, GuestPullOptions options,
                            const FindFollower& find_follower) {
  Preflight found;
  for (const auto& allowed : {check_commands(view.peer), check_can_flush(view.peer)}) {
    if (!allowed.ok()) {
      found.refusals.push_back(allowed.error());
    }
  }
  // A QEMU that is too old may not even tell what it has.
  const auto failed = [&found](const Error& error) {
    return found.refusals.empty() ? error : found.refusals.front();
  };
  const auto top = find_disk_node(view.graph, options.disk);
  if (!top.ok()) {
    return failed(top.error());
  }
  if (options.disk.path.empty()) {
    options.disk.name = view.graph.disk_name(*top);
  }
  auto judged = plan_stream(view.graph, *top, options, view.peer.version);
  if (!judged.ok()) {
    return failed(judged.error());
  }
  found.top = *top;
  found.base = judged->base;
  found.plan = std::move(judged->plan);
  std::move(judged->refusals.begin(), judged->refusals.end(), std::back_inserter(found.refusals));
  const std::string& id = found.plan.job_id;
  Follower follower = find_follower(id);
  found.follower = std::move(follower.joinable);
  if (follower.is_there && found.follower == nullptr) {
    found.refusals.push_back(make_error(
        ErrorKind::kJobActive, text("job '", id, "' is followed by this process already")));
  } else if (auto there = find_own_job(view, found.plan); there.ok()) {
    found.there = std::move(there).value();
  } else {
    found.refusals.push_back(std::move(there).error());
  }
  return found;
}

void start_stream(const std::shared_ptr<qmp::Monitor>& monitor, const GuestPullOptions& options,
                  FindFollower find_follower, std::function<void(Result<StartedStream>)> then) {
  std::make_shared<StreamStart>(monitor, options, std::move(find_follower), std::move(then))
      ->begin();
}

std::optional<StreamPlan> plan_of_job(const GuestView& view, const qmp::BlockJob& job) {
  if (!is_our_job(job.id) || job.type != "stream" || job.status == qmp::JobStatus::kConcluded) {
    return std::nullopt;
  }
  const std::string name = view.graph.node_of_our_job(job.id);
  if (name.empty()) {
    return std::nullopt;
  }
  StreamPlan plan;
  plan.job_id = job.id;
  plan.node = name;
  plan.disk_name = name;
  plan.virtual_size = job.length;
  plan.auto_finalize = job.auto_finalize;
  // The disk may have been unplugged; its job goes on and is to be ended all the same.
  if (const auto node = view.graph.find_node(name)) {
    read_layers(view.graph, *node, plan);
    plan.disk_name = view.graph.disk_name(*node);
    plan.path = view.graph.nodes()[*node].filename;
    plan.virtual_size = view.graph.nodes()[*node].virtual_size;
    plan.depth = view.graph.chain_from(*node).size();
  }
  return plan;
}

}  // namespace blockpull::driver
