// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/start_stream.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"

namespace blockpull::driver {
namespace {

using qmp::Json;

/// Asks for jobs, devices and the graph, and for the list of nodes only where there are no devices.
class ViewQuery : public std::enable_shared_from_this<ViewQuery> {
 public:
  ViewQuery(std::shared_ptr<qmp::Monitor> monitor, std::function<void(Result<GuestView>)> then)
      : monitor_(std::move(monitor)), then_(std::move(then)) {}

  void begin() {
    monitor_->reach([self = shared_from_this()](Result<qmp::Peer> peer) {
      if (!peer.ok()) {
        self->then_(std::move(peer).error());
      } else if (!peer->is_there) {
        self->then_(make_error(ErrorKind::kMonitorLost,
                               text("nobody listens on monitor '", self->monitor_->path(), "'")));
      } else {
        self->view_.peer = std::move(peer).value();
        self->ask_devices();
      }
    });
  }

 private:
  /// How often, and how far apart, it is looked whether a concluded job is dismissed by its owner.
  static constexpr int kTries = 20;
  static constexpr Nanoseconds kPause{100'000'000};

  using Step = void (ViewQuery::*)(const Json&);

  void ask(qmp::Command command, Step then) {
    monitor_->execute(std::move(command), [self = shared_from_this(), then](Result<Json> json) {
      if (json.ok()) {
        (self.get()->*then)(*json);
      } else {
        self->then_(std::move(json).error());
      }
    });
  }

  void ask_devices() { ask({"query-block", "", false}, &ViewQuery::take_devices); }

  void take_devices(const Json& devices) {
    devices_ = devices;
    constexpr const char* kGraph = "x-debug-query-block-graph";
    if (view_.peer.offers(kGraph)) {
      ask({kGraph, "", false}, &ViewQuery::take_edges);
    } else {
      take_edges(Json());
    }
  }

  void take_edges(const Json& edges) {
    edges_ = edges;
    ask(qmp::query_block_jobs(), &ViewQuery::take_jobs);
  }

  void take_jobs(const Json& jobs) {
    view_.jobs = qmp::read_block_jobs(jobs);
    if (devices_.size() > 0) {
      view_.graph = BlockGraph::of_devices(devices_, edges_);
      then_(std::move(view_));
      return;
    }
    if (has_concluded() && tries_left_-- > 0) {
      // Whoever follows the job is about to dismiss it.
      monitor_->call_later(kPause, [self = shared_from_this()] {
        self->ask(qmp::query_block_jobs(), &ViewQuery::take_jobs);
      });
      return;
    }
    next_job_ = 0;
    dismiss_concluded(Json());
  }

  [[nodiscard]] bool has_concluded() const {
    return std::any_of(view_.jobs.begin(), view_.jobs.end(), [](const qmp::BlockJob& job) {
      return job.status == qmp::JobStatus::kConcluded;
    });
  }

  /// One after another; then lists the nodes.
  void dismiss_concluded(const Json& /*answer*/) {
    while (next_job_ < view_.jobs.size()) {
      const qmp::BlockJob& job = view_.jobs[next_job_++];
      if (job.status != qmp::JobStatus::kConcluded) {
        continue;
      }
      if (!is_our_job(job.id)) {
        then_(make_error(ErrorKind::kJobActive,
                         text("job '", job.id,
                              "' of another program has concluded and waits to be "
                              "dismissed; QEMU's images cannot be listed before")));
        return;
      }
      view_.are_concluded_dismissed = true;
      ask(qmp::job_dismiss(job.id), &ViewQuery::dismiss_concluded);
      return;
    }
    const std::string flat = qmp::JsonWriter().member("flat", true).text();
    ask({"query-named-block-nodes", flat, false}, &ViewQuery::take_nodes);
  }

  void take_nodes(const Json& nodes) {
    view_.graph = BlockGraph::of_nodes(nodes, edges_);
    then_(std::move(view_));
  }

  const std::shared_ptr<qmp::Monitor> monitor_;
  const std::function<void(Result<GuestView>)> then_;
  GuestView view_;
  Json devices_;
  Json edges_;
  std::size_t next_job_ = 0;
  int tries_left_ = kTries;
};

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
  } else if (says("Cannot find device=")) {
    error.kind = ErrorKind::kNoDisk;
  } else if (says("is not a backing image of") || says("in the backing chain")) {
    error.kind = ErrorKind::kNoBase;
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

class StreamStart : public std::enable_shared_from_this<StreamStart> {
 public:
  StreamStart(std::shared_ptr<qmp::Monitor> monitor, GuestPullOptions options,
              std::function<bool(const std::string&)> is_followed,
              std::function<void(Result<StreamPlan>)> then)
      : monitor_(std::move(monitor)),
        options_(std::move(options)),
        is_followed_(std::move(is_followed)),
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
    BLOCKPULL_CHECK(check_commands(view.peer));
    BLOCKPULL_TRY(top, find_disk_node(view.graph, options_.disk));
    if (options_.disk.path.empty()) {
      options_.disk.name = view.graph.disk_name(top);
    }
    BLOCKPULL_TRY(plan, plan_stream(view.graph, top, options_, view.peer.version));
    plan_ = std::move(plan);
    if (is_followed_(plan_.job_id)) {
      return make_error(ErrorKind::kJobActive,
                        text("job '", plan_.job_id, "' is followed by this process already"));
    }
    for (const qmp::BlockJob& job : view.jobs) {
      const bool is_gone = view.are_concluded_dismissed && job.status == qmp::JobStatus::kConcluded;
      if (job.id == plan_.job_id && !is_gone) {
        meet(job);
        return {};
      }
    }
    stream();
    return {};
  }

  /// A job of ours that somebody left there.
  void meet(const qmp::BlockJob& job) {
    if (job.status != qmp::JobStatus::kConcluded) {
      plan_.was_there = true;
      then_(std::move(plan_));
      return;
    }
    monitor_->execute(qmp::job_dismiss(plan_.job_id),
                      [self = shared_from_this()](Result<Json> answer) {
                        if (answer.ok()) {
                          self->stream();
                        } else {
                          self->then_(refusal(std::move(answer).error()));
                        }
                      });
  }

  void stream() {
    qmp::BlockStream stream;
    stream.job_id = plan_.job_id;
    stream.device = plan_.node;
    stream.base_node = plan_.base_node;
    stream.backing_file = plan_.backing_file;
    stream.speed = options_.bytes_per_second;
    stream.auto_finalize = !options_.will_be_followed;
    monitor_->execute(qmp::block_stream(stream), [self = shared_from_this()](Result<Json> answer) {
      if (!answer.ok()) {
        if (answer.error().kind == ErrorKind::kMonitorTimeout) {
          // QEMU may begin it yet; whoever asked believes that nothing was begun.
          self->monitor_->execute(qmp::job_cancel(self->plan_.job_id),
                                  [self](const Result<Json>& /*answer*/) {});
        }
        self->then_(refusal(std::move(answer).error()));
        return;
      }
      self->then_(std::move(self->plan_));
    });
  }

  const std::shared_ptr<qmp::Monitor> monitor_;
  GuestPullOptions options_;
  const std::function<bool(const std::string&)> is_followed_;
  const std::function<void(Result<StreamPlan>)> then_;
  StreamPlan plan_;
};

}  // namespace

void view_guest(const std::shared_ptr<qmp::Monitor>& monitor,
                std::function<void(Result<GuestView>)> then) {
  std::make_shared<ViewQuery>(monitor, std::move(then))->begin();
}

void start_stream(const std::shared_ptr<qmp::Monitor>& monitor, const GuestPullOptions& options,
                  std::function<bool(const std::string&)> is_followed,
                  std::function<void(Result<StreamPlan>)> then) {
  std::make_shared<StreamStart>(monitor, options, std::move(is_followed), std::move(then))->begin();
}

std::optional<StreamPlan> plan_of_job(const GuestView& view, const qmp::BlockJob& job) {
  if (!is_our_job(job.id) || job.type != "stream") {
    return std::nullopt;
  }
  const auto node = node_of_job(view.graph, job.id);
  if (!node) {
    return std::nullopt;
  }
  StreamPlan plan;
  plan.job_id = job.id;
  plan.node = view.graph.nodes()[*node].name;
  plan.disk_name = view.graph.disk_name(*node);
  plan.path = view.graph.nodes()[*node].filename;
  plan.virtual_size = view.graph.nodes()[*node].virtual_size;
  plan.was_there = true;
  if (view.are_concluded_dismissed && job.status == qmp::JobStatus::kConcluded) {
    plan.dismissed = job;
  }
  return plan;
}

}  // namespace blockpull::driver
