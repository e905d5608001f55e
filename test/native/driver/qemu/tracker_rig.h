// SPDX-License-Identifier: Apache-2.0
//
// A tracker between a monitor and a host that do one thing at a time, so a test can stop it
// anywhere.
//
// The files of its QEMU cannot be seen from here, so a completed job is never verified.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "driver/qemu/fake_monitor.h"
#include "driver/qemu/job_id.h"
#include "driver/qemu/job_tracker.h"
#include "driver/qemu/stream_conclusion.h"
#include "faults/inline_host.h"

namespace blockpull::driver::qemu {

class TrackerRig {
 public:
  explicit TrackerRig(std::uint64_t seed = 0)
      : arena(io::BufferArena::create(io::BufferArena::kBlock).value()),
        host(std::make_unique<faults::InlineHost>(*arena, seed)) {
    plan.job_id = job_id_for(job::Kind::kPull, "vda", "top");
    plan.node = "top";
    plan.disk_name = "vda";
    plan.path = "/vms/top.qcow2";
    plan.virtual_size = FakeQemu::kSize;
    plan.layers = {layer("top", "/vms/mid.qcow2"), layer("mid", "/vms/base.qcow2"),
                   layer("base", "")};
    plan.base_index = plan.layers.size();
    plan.has_run_state = true;
    plan.state.status = "running";
    qemu.job = FakeQemu::Job{};
    qemu.job->id = plan.job_id;
    qemu.copy_durable = false;
  }

  /// "base" stays.
  void keep_base() { keep("base", 2); }

  /// That layer stays.
  void keep(const std::string& node, std::size_t index) {
    qemu.job->base_node = node;
    plan.base_node = node;
    plan.base_index = index;
    plan.base = KeptLayer{plan.layers[index].filename, "qcow2"};
    plan.backing_file = plan.base->path;
  }

  void make() {
    tracker = std::make_shared<JobTracker>(
        monitor, plan, JobWatch::begin(monitor, plan.job_id),
        [this](job::Host& of, const std::shared_ptr<HostCalls>& calls) {
          return std::make_shared<StreamConclusion>(monitor, plan, end, of, calls);
        });
  }

  void start() {
    make();
    tracker->start(*host, counters,
                   [this](job::Ending ending) { ends.push_back(std::move(ending)); });
  }

  /// Starts it; false unless it polls the job, which runs.
  bool start_watching() {
    start();
    return run_to("query-block-jobs");
  }

  /// The same, and everything is copied by that poll.
  bool start_copied() {
    const bool is_watching = start_watching();
    qemu.finish_copying();
    return is_watching;
  }

  /// Starts it and runs for a number of turns; everything is copied early in them.
  void start_and_take(int turns) {
    start();
    for (int turn = 0; turn < turns && ends.empty(); ++turn) {
      if (turn == kCopiedAtTurn) {
        qemu.finish_copying();
      }
      step();
    }
  }

  /// Does one thing, of the monitor first, then of the host.
  bool step(Failing how = Failing::kNothing) { return monitor->step(how) || host->step(); }

  /// Runs until the monitor is about to do `command`; false if that does not come.
  bool run_to(const std::string& command) {
    for (int turns = 0; turns < kTurns && ends.empty(); ++turns) {
      if (monitor->next() == command) {
        return true;
      }
      step();
    }
    return false;
  }

  /// Runs to the end, restoring the link when it is down; false if there is no end.
  bool run() {
    for (int turns = 0; turns < kTurns && ends.empty(); ++turns) {
      if (!monitor->is_up()) {
        monitor->restore();
      }
      step();
    }
    return ends.size() == 1;
  }

  /// The kind of the error that it ended with; absent if it completed.
  [[nodiscard]] std::optional<ErrorKind> ended_with() const {
    return ends.empty() || !ends[0].error ? std::nullopt : std::optional(ends[0].error->kind);
  }

  /// The promise that was broken, whatever happened; empty if none was.
  [[nodiscard]] std::string broken_promise() const {
    if (ends.size() > 1) {
      return "it ended twice";
    }
    if (!qemu.faults_of_client.empty()) {
      return qemu.faults_of_client[0];
    }
    if (ends.empty()) {
      return {};
    }
    const bool is_completed = !ends[0].error.has_value();
    if (is_completed && !qemu.is_durable()) {
      return "it completed before all was durable";
    }
    if (is_completed && qemu.copy_skipped) {
      return "it completed without what QEMU has skipped";
    }
    if (ends[0].verified) {
      return "it is verified by files that nobody can see";
    }
    if (!ends[0].released.empty()) {
      return is_completed ? "it is not verified and released files"
                          : "it failed and released files";
    }
    if (is_completed && ends[0].warnings.empty()) {
      return "it is not verified and does not say why";
    }
    if (is_completed && !ends[0].durable) {
      return "it completed by a flush that tells of its failure, and is not durable";
    }
    return {};
  }

  /// The nodes that it has left in its QEMU once everything is idle.
  [[nodiscard]] std::string left_node() {
    for (int turns = 0; turns < kTurns && step(); ++turns) {
    }
    return qemu.has_filter ? "the filter" : qemu.second_node;
  }

  static constexpr int kTurns = 4000;
  static constexpr int kCopiedAtTurn = 6;

  static BlockNode layer(const std::string& name, const std::string& stated) {
    BlockNode node;
    node.name = name;
    node.driver = "qcow2";
    node.filename = "/vms/" + name + ".qcow2";
    node.virtual_size = FakeQemu::kSize;
    node.stated_backing = stated;
    node.is_backing = name != "top";
    return node;
  }

  const std::unique_ptr<io::BufferArena> arena;
  std::unique_ptr<faults::InlineHost> host;
  FakeQemu qemu;
  const std::shared_ptr<FakeMonitor> monitor = std::make_shared<FakeMonitor>(qemu);
  StreamPlan plan;
  const std::shared_ptr<GuestPullEnd> end = std::make_shared<GuestPullEnd>();
  job::ProgressCounters counters;
  std::shared_ptr<JobTracker> tracker;
  std::vector<job::Ending> ends;
};

}  // namespace blockpull::driver::qemu
