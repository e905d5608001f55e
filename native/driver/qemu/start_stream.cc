// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/start_stream.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"
#include "driver/qemu/flush.h"
#include "driver/qemu/job_id.h"

namespace blockpull::driver {
namespace {

using qmp::Json;

/// Asks for jobs, devices and the graph, and for the list of nodes only where there are no devices.
/// A job of another program that ends between two answers changes the images under them: what
/// then has no name shows it, and all of it is asked for again.
class ViewQuery : public std::enable_shared_from_this<ViewQuery> {
 public:
  ViewQuery(std::shared_ptr<qmp::Monitor> monitor, std::function<void(Result<GuestView>)> then)
      : monitor_(std::move(monitor)), then_(std::move(then)) {}

  void begin() {
    monitor_->reach([self = shared_from_this()](Result<qmp::Peer> peer) {
      if (!peer.ok()) {
        self->begin_again_or_fail(std::move(peer).error());
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

  /// How often answers that do not fit each other are asked for again; jobs do not end one after
  /// the other.
  static constexpr int kLooksAgain = 3;

  using Step = void (ViewQuery::*)(const Json&);

  void ask(qmp::Command command, Step then) {
    monitor_->execute(std::move(command), [self = shared_from_this(), then](Result<Json> json) {
      if (json.ok()) {
        (self.get()->*then)(*json);
      } else {
        self->begin_again_or_fail(std::move(json).error());
      }
    });
  }

  /// Nothing was changed, so nobody need know of a connection that had gone stale.
  void begin_again_or_fail(Error error) {
    if (error.kind != ErrorKind::kMonitorLost || began_again_) {
      then_(std::move(error));
      return;
    }
    began_again_ = true;
    view_ = {};
    begin();
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
      if (edges_.exists() && view_.graph.has_unnamed() && looks_left_-- > 0) {
        ask_devices();
      } else {
        then_(std::move(view_));
      }
      return;
    }
    if (has_concluded() && tries_left_-- > 0) {
      // Whoever started the job is about to dismiss it.
      monitor_->call_later(kPause, [self = shared_from_this()] {
        self->ask(qmp::query_block_jobs(), &ViewQuery::take_jobs);
      });
      return;
    }
    if (has_concluded()) {
      then_(make_error(ErrorKind::kJobActive,
                       text("QEMU behind '", monitor_->path(),
                            "' keeps a job that has concluded; its images cannot be listed before "
                            "the program that started it dismisses it")));
      return;
    }
    const std::string flat = qmp::JsonWriter().member("flat", true).text();
    ask({"query-named-block-nodes", flat, false}, &ViewQuery::take_nodes);
  }

  [[nodiscard]] bool has_concluded() const {
    return std::any_of(view_.jobs.begin(), view_.jobs.end(), [](const qmp::BlockJob& job) {
      return job.status == qmp::JobStatus::kConcluded;
    });
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
  int tries_left_ = kTries;
  int looks_left_ = kLooksAgain;
  bool began_again_ = false;
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

class StreamStart : public std::enable_shared_from_this<StreamStart> {
 public:
  StreamStart(std::shared_ptr<qmp::Monitor> monitor, GuestPullOptions options,
              std::function<bool(const std::string&)> is_followed,
              std::function<void(Result<StartedStream>)> then)
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
    BLOCKPULL_CHECK(check_can_flush(view.peer));
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
    watch_ = JobWatch::begin(monitor_, plan_.job_id);
    const auto there =
        std::find_if(view.jobs.begin(), view.jobs.end(),
                     [this](const qmp::BlockJob& job) { return job.id == plan_.job_id; });
    if (there == view.jobs.end()) {
      stream();
      return {};
    }
    return take_over(plan_of_job(view, *there));
  }

  /// A job of ours that an earlier process began.
  Result<void> take_over(std::optional<StreamPlan> found) {
    const auto path_of = [](const std::optional<KeptLayer>& base) {
      return base ? base->path : std::string();
    };
    if (!found || path_of(found->base) != path_of(plan_.base)) {
      return make_error(ErrorKind::kJobActive,
                        text("job '", plan_.job_id,
                             "', which an earlier process began, keeps another base or has "
                             "concluded already; wait for its end"));
    }
    found->disk_name = plan_.disk_name;
    monitor_->execute(qmp::block_job_set_speed(found->job_id, options_.bytes_per_second),
                      [](const Result<Json>& /*answer*/) {});
    then_(StartedStream{*std::move(found), std::move(watch_), true});
    return {};
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
      if (answer.ok()) {
        self->then_(StartedStream{std::move(self->plan_), std::move(self->watch_), false});
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
      then_(StartedStream{std::move(plan_), std::move(watch_), false});
    } else if (asked_again_) {
      then_(lost);
    } else {
      asked_again_ = true;
      stream();
    }
  }

  const std::shared_ptr<qmp::Monitor> monitor_;
  GuestPullOptions options_;
  const std::function<bool(const std::string&)> is_followed_;
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

void view_guest(const std::shared_ptr<qmp::Monitor>& monitor,
                std::function<void(Result<GuestView>)> then) {
  std::make_shared<ViewQuery>(monitor, std::move(then))->begin();
}

void start_stream(const std::shared_ptr<qmp::Monitor>& monitor, const GuestPullOptions& options,
                  std::function<bool(const std::string&)> is_followed,
                  std::function<void(Result<StartedStream>)> then) {
  std::make_shared<StreamStart>(monitor, options, std::move(is_followed), std::move(then))->begin();
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
