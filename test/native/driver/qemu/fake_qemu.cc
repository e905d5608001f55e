// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/fake_qemu.h"

#include <algorithm>

#include "core/base/text.h"

namespace blockpull::driver::qemu {
namespace {

Error refused(std::string words, std::string error_class = "GenericError") {
  Error error = make_error(ErrorKind::kQemuError, words);
  error.qemu = QemuOrigin{"command", std::move(error_class), std::move(words)};
  return error;
}

std::string file_of(const std::string& node) {
  return text("/vms/", node, ".qcow2");
}

}  // namespace

std::string FakeQemu::commands() const {
  std::vector<const char*> names{"query-block",
                                 "query-block-jobs",
                                 "x-debug-query-block-graph",
                                 "query-blockstats",
                                 "query-status",
                                 "query-migrate",
                                 "block-stream",
                                 "job-cancel",
                                 "query-named-block-nodes",
                                 "job-finalize",
                                 "job-dismiss",
                                 "blockdev-add",
                                 "block-job-set-speed",
                                 "block-job-resume",
                                 "job-pause",
                                 "job-resume",
                                 "human-monitor-command",
                                 "blockdev-del"};
  if (can_reopen) {
    names.push_back("blockdev-reopen");
  }
  if (thread_id) {
    names.push_back("query-cpus-fast");
  }
  std::string list;
  for (const char* const name : names) {
    list += text(list.empty() ? "" : ", ", R"({"name": ")", name, R"("})");
  }
  return '[' + list + ']';
}

std::size_t FakeQemu::count(std::string_view name) const {
  return static_cast<std::size_t>(std::count(executed.begin(), executed.end(), name));
}

std::optional<std::string> FakeQemu::answer(const std::string& name) {
  if (name == "query-block-jobs") {
    return jobs();
  }
  if (name == "query-block") {
    return devices();
  }
  if (name == "query-blockstats") {
    return stats();
  }
  if (name == "x-debug-query-block-graph") {
    return graph();
  }
  if (name == "query-status") {
    return text(R"({"status": ")", run_state, R"(", "running": )",
                run_state == "running" ? "true" : "false", "}");
  }
  if (name == "query-migrate") {
    return migration.empty()
               ? "{}"
               : text(R"({"status": ")", migration, R"(", "total-time": )", migrations, "}");
  }
  if (name == "query-cpus-fast") {
    return text(R"([{"cpu-index": 0, "thread-id": )", thread_id.value_or(0), "}]");
  }
  if (name == "query-named-block-nodes") {
    if (second_node.empty()) {
      faults_of_client.emplace_back("nodes were listed");
    }
    return second_nodes();
  }
  return std::nullopt;
}

Result<std::string> FakeQemu::execute(const std::string& name, const qmp::Json& arguments) {
  executed.push_back(name);
  if (auto told = answer(name)) {
    return *std::move(told);
  }
  if (name == "human-monitor-command") {
    const std::string line = arguments.member("command-line").text_or_empty();
    const auto said = line == "qemu-io top flush" ? flush() : "Error: no such node\\r\\n";
    return '"' + said.value_or("") + '"';
  }
  if (name.starts_with("blockdev-")) {
    return act_on_node(name, arguments);
  }
  if (name == "block-stream") {
    return start(arguments);
  }
  return act_on_job(name, arguments);
}

bool FakeQemu::is_active() const {
  return run_state != "inmigrate" && run_state != "finish-migrate" && run_state != "postmigrate";
}

void FakeQemu::begin_migration() {
  migration = "active";
  ++migrations;
}

void FakeQemu::hand_over() {
  migration = "completed";
  run_state = "postmigrate";
  events.push_back({"STOP", "{}"});
  note_skipped();
}

void FakeQemu::come_back(const std::string& status) {
  migration = status;
  run_state = "running";
  events.push_back({"RESUME", "{}"});
}

void FakeQemu::note_skipped() {
  copy_skipped = copy_skipped || (job && job->status == "running" && !is_active());
}

Result<std::string> FakeQemu::start(const qmp::Json& arguments) {
  const std::string id = arguments.member("job-id").text_or_empty();
  if (stream_fault) {
    return refused(*stream_fault);
  }
  if (!is_active()) {
    return refused("Could not create node: Block node is read-only");
  }
  if (job) {
    return refused(text("Job ID '", id, "' already in use"));
  }
  job = Job{};
  job->id = id;
  job->speed = arguments.member("speed").number().value_or(0);
  job->auto_finalize = arguments.member("auto-finalize").boolean().value_or(true);
  job->base_node = arguments.member("base-node").text();
  if (!arguments.member("auto-dismiss").boolean().value_or(true)) {
    faults_of_client.emplace_back("a job was begun that has to be dismissed");
  }
  copy_durable = false;
  copy_lost = false;
  copy_skipped = false;
  if (is_fast) {
    finish_copying();
  }
  return std::string("{}");
}

Result<std::string> FakeQemu::act_on_node(const std::string& name, const qmp::Json& arguments) {
  const std::string node = arguments.member("node-name").text_or_empty();
  if (name == "blockdev-add" && arguments.member("read-only").is_true()) {
    if (!second_node.empty()) {
      return refused(text("Duplicate nodes with node-name='", node, "'"));
    }
    second_node = node;
    second_file = arguments.member("file").member("filename").text_or_empty();
    return std::string("{}");
  }
  if (name == "blockdev-del" && !second_node.empty() && node == second_node) {
    second_node.clear();
    second_file.clear();
    return std::string("{}");
  }
  if (name == "blockdev-add" && (arguments.member("image").text_or_empty() != "top" ||
                                 arguments.member("take-child-perms").size() != 1)) {
    return refused("a filter that does not flush");
  }
  return act_on_filter(name);
}

Result<std::string> FakeQemu::act_on_filter(const std::string& name) {
  if (name == "blockdev-add") {
    if (has_filter) {
      return refused("Duplicate nodes with node-name='x'");
    }
    if (filter_fault) {
      return refused(*filter_fault);
    }
    if (!is_active() || is_read_only) {
      return refused("Block node is read-only");
    }
    has_filter = true;
    return std::string("{}");
  }
  if (!has_filter) {
    return refused("Failed to find node with node-name='x'");
  }
  if (name == "blockdev-del") {
    has_filter = false;
  } else if (filters_to_come > 0) {
    --filters_to_come;
    return refused("Cannot change the option 'image'");
  } else if (const auto why = flush()) {
    return refused(*why);
  }
  return std::string("{}");
}

Result<std::string> FakeQemu::act_on_job(const std::string& name, const qmp::Json& arguments) {
  const bool is_block_job = name.starts_with("block-job-");
  const std::string id = arguments.member(is_block_job ? "device" : "id").text_or_empty();
  if (!job || job->id != id) {
    return is_block_job ? refused(text("Block job '", id, "' not found"), "DeviceNotActive")
                        : refused("Job not found");
  }
  const auto not_in_state = [&] {
    return refused(text("Job '", id, "' in state '", job->status, "' cannot accept '", name, "'"));
  };
  if (name == "block-job-resume" || name == "job-resume") {
    if (!job->stopped_on && !job->is_paused) {
      return refused("Can't resume a job that was not paused");
    }
    job->stopped_on.reset();
    job->is_paused = false;
    job->status = "running";
    note_skipped();
  } else if (name == "job-pause" && (job->stopped_on || job->is_paused)) {
    return refused("Job is already paused");
  } else if (name == "job-pause" && job->status == "running") {
    job->is_paused = true;
    job->status = "paused";
  } else if (name == "block-job-set-speed") {
    job->speed = arguments.member("speed").number().value_or(0);
  } else if (name == "job-cancel") {
    cancel();
  } else if (name == "job-finalize" && job->status == "pending") {
    if (!copy_durable) {
      faults_of_client.emplace_back("finalized before the copy was durable");
    }
    if (!is_active()) {
      faults_of_client.emplace_back("finalized while the images were inactive");
    }
    if (copy_skipped) {
      faults_of_client.emplace_back("finalized a copy that QEMU has skipped");
    }
    conclude(std::nullopt);
  } else {
    return not_in_state();
  }
  return std::string("{}");
}

void FakeQemu::finish_copying() {
  if (job->is_paused) {
    return;
  }
  job->offset = kSize;
  job->status = "pending";
  if (job->auto_finalize) {
    conclude(std::nullopt);
  }
}

void FakeQemu::conclude(const std::optional<std::string>& error) {
  if (!error) {
    const auto base =
        job->base_node ? std::find(below.begin(), below.end(), *job->base_node) : below.end();
    below.erase(below.begin(), base);
    header_durable = false;
  }
  end_job("BLOCK_JOB_COMPLETED", error);
}

void FakeQemu::cancel() {
  end_job("BLOCK_JOB_CANCELLED", std::nullopt);
}

void FakeQemu::end_job(const std::string& event, const std::optional<std::string>& error) {
  qmp::JsonWriter data;
  data.member("device", job->id);
  if (error) {
    data.member("error", *error);
  }
  events.push_back({event, data.text()});
  job.reset();
}

std::optional<std::string> FakeQemu::flush() {
  if (flush_fault) {
    copy_lost = copy_lost || !copy_durable;
    return flush_fault;
  }
  copy_durable = copy_durable || (!copy_lost && (!job || job->offset == kSize));
  header_durable = true;
  return std::nullopt;
}

std::string FakeQemu::jobs() const {
  if (!job) {
    return "[]";
  }
  return text(R"([{"device": ")", job->id, R"(", "type": "stream", "status": ")", job->status,
              R"(", "len": )", kSize, R"(, "offset": )", job->offset, R"(, "speed": )", job->speed,
              R"(, "auto-finalize": )", job->auto_finalize ? "true" : "false", R"(, "paused": )",
              job->stopped_on || job->is_paused ? "true" : "false", R"(, "io-status": ")",
              job->stopped_on.value_or("ok"), R"("}])");
}

std::string FakeQemu::devices() const {
  std::string backing;
  for (auto node = below.rbegin(); node != below.rend(); ++node) {
    backing = text(R"(, "backing-filename": ")", file_of(*node), R"(", "backing-image": {)",
                   R"("filename": ")", file_of(*node), R"(", "format": "qcow2", )",
                   R"("virtual-size": )", kSize, backing, "}");
  }
  return text(R"([{"device": "vda", "inserted": {"node-name": "top", "image": {)",
              R"("filename": "/vms/top.qcow2", "format": "qcow2", "virtual-size": )", kSize,
              has_snapshot ? R"(, "snapshots": [{"id": "1", "name": "s1"}])" : "", backing, "}}}]");
}

std::string FakeQemu::stats() const {
  std::string backing;
  for (auto node = below.rbegin(); node != below.rend(); ++node) {
    backing = text(R"(, "backing": {"node-name": ")", *node, "\"", backing, "}");
  }
  return text(R"([{"device": "vda", "node-name": "top")", backing, "}]");
}

/// The header of the file, which is simulated like everything else.
std::string FakeQemu::second_nodes() const {
  if (second_node.empty()) {
    return "[]";
  }
  std::string stated;
  const auto found = std::find_if(below.begin(), below.end(), [this](const std::string& node) {
    return file_of(node) == second_file;
  });
  const auto next = second_file == file_of("top") ? below.begin()
                    : found == below.end()        ? found
                                                  : std::next(found);
  if (next != below.end()) {
    stated = text(R"(, "backing-filename": ")", file_of(*next), "\"");
  }
  const std::string file_node =
      text(R"({"node-name": "#block1", "drv": "file", "file": ")", file_of("top"),
           R"(", "cache": {"no-flush": )", file_ignores_flushes ? "true" : "false", "}}");
  return text("[", file_node, R"(, {"node-name": ")", second_node,
              R"(", "drv": "qcow2", "image": {"filename": ")", second_file,
              R"(", "format": "qcow2", "virtual-size": )", kSize, stated, "}}]");
}

std::string FakeQemu::graph() const {
  std::string nodes = R"({"id": 1, "type": "block-driver", "name": "top"})";
  std::string edges;
  for (std::size_t i = 0; i < below.size(); ++i) {
    nodes += text(R"(, {"id": )", i + 2, R"(, "type": "block-driver", "name": ")", below[i], "\"}");
    edges += text(i == 0 ? "" : ", ", R"({"name": "backing", "parent": )", i + 1, R"(, "child": )",
                  i + 2, "}");
  }
  if (job) {
    nodes += text(R"(, {"id": 9, "type": "block-job", "name": ")", job->id, "\"}");
    std::size_t id = 1;
    for (auto node = below.begin();; ++node, ++id) {
      edges +=
          text(edges.empty() ? "" : ", ", R"({"name": "job", "parent": 9, "child": )", id, "}");
      if (node == below.end() || *node == job->base_node) {
        break;
      }
    }
  }
  return text(R"({"nodes": [)", nodes, R"(], "edges": [)", edges, "]}");
}

}  // namespace blockpull::driver::qemu
