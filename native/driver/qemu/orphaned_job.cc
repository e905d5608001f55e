// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/orphaned_job.h"

#include "driver/qemu/job_id.h"
#include "driver/qemu/job_poll.h"

namespace blockpull::driver::qemu {
namespace {

/// Index of the layer that stays. The job works on the layers that drop out; the layers below them
/// stay.
std::size_t kept_layer(const BlockGraph& graph, const std::vector<std::size_t>& chain,
                       std::string_view job_id) {
  std::size_t index = 1;
  while (index < chain.size() && graph.is_job_on(job_id, chain[index])) {
    ++index;
  }
  return index;
}

/// The plan of an earlier process for a disk that is still there.
std::optional<StreamPlan> planned_before(const GuestView& view, std::size_t top,
                                         std::string_view job_id) {
  const auto chain = view.graph.chain_from(top);
  GuestPullOptions options;
  options.disk.name = view.graph.disk_name(top);
  const std::size_t base = kept_layer(view.graph, chain, job_id);
  if (base < chain.size()) {
    options.base = BaseChoice{{}, base};
  }
  auto judged = plan_stream(view.graph, top, options, view.peer.version);
  return judged.ok() ? std::optional(std::move(judged->plan)) : std::nullopt;
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
  plan.node = name;
  plan.disk_name = name;
  plan.virtual_size = job.length;
  // The disk may have been unplugged; its job continues and must still be finished.
  if (const auto node = view.graph.find_node(name)) {
    if (auto before = planned_before(view, *node, job.id)) {
      plan = *std::move(before);
    }
  }
  plan.job_id = job.id;
  plan.auto_finalize = job.auto_finalize;
  plan.was_there = true;
  plan.has_run_state = offers_run_state(view.peer);
  plan.state = view.state;
  return plan;
}

}  // namespace blockpull::driver::qemu
