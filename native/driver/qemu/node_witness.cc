// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/node_witness.h"

#include <utility>

#include "core/qmp/commands.h"
#include "driver/qemu/own_nodes.h"

namespace blockpull::driver::qemu {
namespace {

using qmp::Json;

class NodeWitness : public std::enable_shared_from_this<NodeWitness> {
 public:
  NodeWitness(std::shared_ptr<qmp::Monitor> monitor, PromisedHeader promised,
              std::function<void(Result<NodeSeen>)> done)
      : monitor_(std::move(monitor)),
        promised_(std::move(promised)),
        done_(std::move(done)),
        name_(name_of_own_node(promised_.top.name + " witness", monitor_->path())) {}

  void begin() {
    ask(qmp::query_block_jobs(), [](NodeWitness& self, const Result<Json>& jobs) {
      if (jobs.ok() && jobs->size() == 0) {
        self.add_node();
      } else {
        self.done_(NodeSeen());
      }
    });
  }

 private:
  void add_node() {
    const std::string file = qmp::JsonWriter()
                                 .member("driver", "file")
                                 .member("filename", promised_.top.filename)
                                 .text();
    const std::string node = qmp::JsonWriter()
                                 .member("driver", promised_.top.driver)
                                 .member("node-name", name_)
                                 .member("read-only", true)
                                 .member("force-share", true)
                                 .object("file", file)
                                 .object("backing", "null")
                                 .text();
    ask({"blockdev-add", node, true}, [](NodeWitness& self, const Result<Json>& added) {
      if (added.ok()) {
        self.list_if_free_of_jobs();
        return;
      }
      if (added.error().kind != ErrorKind::kQemuError) {
        self.ask_for_removal();
      }
      self.done_(NodeSeen());
    });
  }

  /// Asks again, since a job of another program may have started and concluded in between.
  void list_if_free_of_jobs() {
    ask(qmp::query_block_jobs(), [](NodeWitness& self, const Result<Json>& jobs) {
      if (!jobs.ok() || jobs->size() > 0) {
        self.judge(Json());
        return;
      }
      const std::string flat = qmp::JsonWriter().member("flat", true).text();
      self.ask({"query-named-block-nodes", flat, false},
               [](NodeWitness& again, const Result<Json>& nodes) { again.judge(nodes); });
    });
  }

  void judge(const Result<Json>& nodes) {
    Result<NodeSeen> verdict = NodeSeen();
    for (std::size_t i = 0; nodes.ok() && i < nodes->size(); ++i) {
      const Json node = nodes->at(i);
      const bool is_over_file = node.member("file").text() == promised_.top.filename;
      if (verdict.ok() && is_over_file && node.member("cache").member("no-flush").is_true()) {
        verdict->ignores_flushes = true;
      }
      if (node.member("node-name").text_or_empty() == name_) {
        auto stated =
            check_stated(promised_, node.member("image").member("backing-filename").text());
        if (!stated.ok()) {
          verdict = std::move(stated).error();
        }
      }
    }
    ask(removal_of_own_node(name_), [verdict](NodeWitness& self, const Result<Json>& removed) {
      if (!removed.ok() && removed.error().kind != ErrorKind::kQemuError) {
        self.ask_for_removal();
      }
      self.done_(verdict);
    });
  }

  /// The node may be there, and nobody else would remove it.
  void ask_for_removal() {
    ask(removal_of_own_node(name_), [](NodeWitness& /*self*/, const Result<Json>& /*removed*/) {});
  }

  void ask(qmp::Command command, std::function<void(NodeWitness&, const Result<Json>&)> done) {
    monitor_->execute(std::move(command), [self = shared_from_this(), done = std::move(done)](
                                              const Result<Json>& answer) { done(*self, answer); });
  }

  const std::shared_ptr<qmp::Monitor> monitor_;
  const PromisedHeader promised_;
  const std::function<void(Result<NodeSeen>)> done_;
  const std::string name_;
};

}  // namespace

void read_back_by_node(const std::shared_ptr<qmp::Monitor>& monitor, const PromisedHeader& promised,
                       std::function<void(Result<NodeSeen>)> done) {
  std::make_shared<NodeWitness>(monitor, promised, std::move(done))->begin();
}

}  // namespace blockpull::driver::qemu
