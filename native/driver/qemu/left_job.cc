// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/left_job.h"

#include "driver/qemu/job_id.h"

namespace blockpull::driver {
namespace {

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
    plan.released.push_back(layer.filename);
  }
  plan.has_work = chain.size() > 1;
}

}  // namespace

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
