// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/guest_view.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"
#include "core/base/turns.h"
#include "driver/qemu/graph_answers.h"
#include "driver/qemu/guest_files.h"

namespace blockpull::driver::qemu {
namespace {

using qmp::Json;

/// Sends one query after another, and keeps the answers in members until the last one has come.
class ViewQuery : public std::enable_shared_from_this<ViewQuery> {
 public:
  ViewQuery(std::shared_ptr<qmp::Monitor> monitor, ViewTold done)
      : monitor_(std::move(monitor)), done_(std::move(done)) {}

  void begin() {
    monitor_->reach([self = shared_from_this()](Result<qmp::Peer> peer) {
      if (!peer.ok()) {
        self->begin_again_or_fail(std::move(peer).error());
      } else if (!peer->is_there) {
        self->done_(make_error(ErrorKind::kMonitorLost,
                               text("nobody listens on monitor '", self->monitor_->path(), "'")));
      } else {
        self->view_.peer = std::move(peer).value();
        self->ask_devices();
      }
    });
  }

 private:
  /// How often, and how far apart, we check whether its owner has dismissed a concluded job.
  static constexpr int kTries = 20;
  static constexpr Nanoseconds kPause{100'000'000};

  /// How often we ask again for answers that contradict each other. Jobs do not end one right after
  /// the other, so a few times are enough.
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

  /// A query that some QEMUs lack; the answer is then absent.
  void ask_if_offered(const char* name, Step then) {
    if (view_.peer.offers(name)) {
      ask({name, "", false}, then);
    } else {
      (this->*then)(Json());
    }
  }

  /// Nothing was changed, so a stale connection need not be reported.
  void begin_again_or_fail(Error error) {
    if (error.kind != ErrorKind::kMonitorLost || began_again_) {
      done_(std::move(error));
      return;
    }
    began_again_ = true;
    view_ = {};
    begin();
  }

  void ask_devices() { ask({"query-block", "", false}, &ViewQuery::take_devices); }

  void take_devices(const Json& devices) {
    devices_ = devices;
    ask_if_offered("query-blockstats", &ViewQuery::take_statistics);
  }

  void take_statistics(const Json& statistics) {
    statistics_ = statistics;
    ask_if_offered("x-debug-query-block-graph", &ViewQuery::take_edges);
  }

  void take_edges(const Json& edges) {
    edges_ = edges;
    ask(qmp::query_block_jobs(), &ViewQuery::take_jobs);
  }

  void take_jobs(const Json& jobs) {
    view_.jobs = qmp::read_block_jobs(jobs);
    ask_if_offered("query-migrate", &ViewQuery::take_migration);
  }

  void take_migration(const Json& migration) {
    migration_ = migration;
    ask_if_offered("query-status", &ViewQuery::take_status);
  }

  void take_status(const Json& status) {
    view_.state = read_run_state(status, migration_);
    ask_if_offered("query-cpus-fast", &ViewQuery::take_processors);
  }

  /// A guest without processors lists none; the process behind its monitor is then QEMU itself.
  void take_processors(const Json& processors) {
    view_.processes = {view_.peer.process};
    if (const auto thread = processors.at(0).member("thread-id").number()) {
      thread_ = static_cast<int>(*thread);
    }
    ask_if_offered("query-block-exports", &ViewQuery::take_exports);
  }

  void take_exports(const Json& exports) {
    exported_.clear();
    for (std::size_t i = 0; i < exports.size(); ++i) {
      exported_.push_back(exports.at(i).member("node-name").text_or_empty());
    }
    if (exported_.empty()) {
      take_objects(Json());
    } else {
      ask_objects();
    }
  }

  /// A storage daemon has no query-iothreads. QEMU refuses to list its objects if it has none.
  void ask_objects() {
    const auto take = [self = shared_from_this()](Result<Json> objects) {
      if (objects.ok()) {
        self->take_objects(*objects);
      } else if (objects.error().kind == ErrorKind::kQemuError) {
        self->take_objects(Json());
      } else {
        self->begin_again_or_fail(std::move(objects).error());
      }
    };
    const std::string path = qmp::JsonWriter().member("path", "/objects").text();
    monitor_->execute({"qom-list", path, false}, take);
  }

  void take_objects(const Json& objects) {
    view_.exported_by_threads.clear();
    for (std::size_t i = 0; i < objects.size(); ++i) {
      if (objects.at(i).member("type").text_or_empty() == "child<iothread>") {
        view_.exported_by_threads = exported_;
      }
    }
    if (devices_.size() > 0) {
      ask({"query-block", "", false}, &ViewQuery::take_devices_again);
    } else {
      list_nodes();
    }
  }

  void take_devices_again(const Json& devices) {
    if (shape_of_devices(devices) != shape_of_devices(devices_)) {
      look_again_or_refuse("'query-block'");
    } else {
      take_graph(BlockGraph::of_devices(devices_, statistics_, edges_));
    }
  }

  [[nodiscard]] bool has_concluded() const {
    return std::any_of(view_.jobs.begin(), view_.jobs.end(), [](const qmp::BlockJob& job) {
      return job.status == qmp::JobStatus::kConcluded;
    });
  }

  void list_nodes() {
    if (!has_concluded()) {
      ask(named_nodes(), &ViewQuery::take_nodes);
    } else if (tries_left_-- > 0) {
      // The job's owner is about to dismiss it.
      monitor_->call_later(kPause, [self = shared_from_this()] { self->ask_devices(); });
    } else {
      done_(make_error(ErrorKind::kJobActive,
                       text("QEMU behind '", monitor_->path(),
                            "' keeps a job that has concluded; its images cannot be listed until "
                            "the program that started it dismisses it")));
    }
  }

  [[nodiscard]] static qmp::Command named_nodes() {
    return {"query-named-block-nodes", qmp::JsonWriter().member("flat", true).text(), false};
  }

  void take_nodes(const Json& nodes) {
    nodes_ = nodes;
    // A job of another program may have concluded since, and then the list of nodes would end QEMU.
    ask(qmp::query_block_jobs(), &ViewQuery::take_jobs_again);
  }

  void take_jobs_again(const Json& jobs) {
    view_.jobs = qmp::read_block_jobs(jobs);
    if (has_concluded()) {
      list_nodes();
    } else {
      ask(named_nodes(), &ViewQuery::take_nodes_again);
    }
  }

  void take_nodes_again(const Json& nodes) {
    if (shape_of_nodes(nodes) != shape_of_nodes(nodes_)) {
      look_again_or_refuse("'query-named-block-nodes'");
    } else {
      take_graph(BlockGraph::of_nodes(nodes_, edges_));
    }
  }

  void take_graph(Result<BlockGraph> graph) {
    if (!graph.ok()) {
      if (looks_left_-- > 0) {
        ask_devices();
      } else {
        done_(std::move(graph).error());
      }
      return;
    }
    view_.graph = std::move(graph).value();
    if (thread_ > 0) {
      view_.processes.push_back(thread_);
    }
    done_(std::move(view_));
  }

  void look_again_or_refuse(std::string_view command) {
    if (looks_left_-- > 0) {
      ask_devices();
      return;
    }
    done_(make_error(
        ErrorKind::kQemuError,
        text("QEMU behind '", monitor_->path(), "' gives another answer to ", command,
             " each time, so its images are not known; try again when its other jobs have ended")));
  }

  const std::shared_ptr<qmp::Monitor> monitor_;
  const ViewTold done_;
  GuestView view_;
  Json devices_;
  Json statistics_;
  Json edges_;
  Json migration_;
  Json nodes_;
  std::vector<std::string> exported_;
  /// One of QEMU's threads, or 0.
  int thread_ = 0;
  int tries_left_ = kTries;
  int looks_left_ = kLooksAgain;
  bool began_again_ = false;
};

/// A view may lead to an action that changes the next view of the same guest: an adopter must have
/// the job before anybody else looks. One per process, as the monitors are.
Turns& turns() {
  static auto* const of_process = new Turns;
  return *of_process;
}

/// Looks at the files and calls `done`, on a thread that may block.
void tell_seen(job::Host& host, const std::shared_ptr<Result<GuestView>>& view,
               const ViewTold& done, Turns::Turn turn) {
  const auto work = [view, done, turn = std::move(turn)] {
    if (view->ok()) {
      see_files((*view)->graph, (*view)->processes);
    }
    done(std::move(*view));
  };
  host.post([&host, work] { host.run_blocking(work, [] {}); });
}

}  // namespace

bool is_mirrored(const GuestView& view, std::size_t node) {
  return std::any_of(view.jobs.begin(), view.jobs.end(), [&](const qmp::BlockJob& job) {
    return job.type == "mirror" && view.graph.is_job_on(job.id, node);
  });
}

void query_guest(const std::shared_ptr<qmp::Monitor>& monitor, ViewTold done) {
  std::make_shared<ViewQuery>(monitor, std::move(done))->begin();
}

void view_guest(const std::shared_ptr<job::Host>& host,
                const std::shared_ptr<qmp::Monitor>& monitor, ViewTold done) {
  if (host == nullptr) {
    done(make_error(ErrorKind::kClosed, "the connection was closed"));
    return;
  }
  const auto take = [weak = std::weak_ptr(host), path = monitor->path(),
                     done = std::move(done)](Result<GuestView> view) {
    const auto shared = std::make_shared<Result<GuestView>>(std::move(view));
    turns().wait(path, [weak, shared, done](Turns::Turn turn) {
      if (const auto held = weak.lock()) {
        tell_seen(*held, shared, done, std::move(turn));
      } else {
        done(make_error(ErrorKind::kClosed, "the connection was closed"));
      }
    });
  };
  query_guest(monitor, take);
}

}  // namespace blockpull::driver::qemu
