// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/guest_view.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"

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

}  // namespace

void view_guest(const std::shared_ptr<qmp::Monitor>& monitor,
                std::function<void(Result<GuestView>)> then) {
  std::make_shared<ViewQuery>(monitor, std::move(then))->begin();
}

}  // namespace blockpull::driver
