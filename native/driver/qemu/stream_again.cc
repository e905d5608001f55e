// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/stream_again.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"
#include "driver/qemu/guest_view.h"

namespace blockpull::driver {
namespace {

/// Whether QEMU has the chain that the plan was made for.
bool is_same_chain(const BlockGraph& graph, std::size_t top, const StreamPlan& plan) {
  const auto chain = graph.chain_from(top);
  return std::equal(chain.begin(), chain.end(), plan.layers.begin(), plan.layers.end(),
                    [&graph](std::size_t node, const BlockNode& layer) {
                      return graph.nodes()[node].name == layer.name &&
                             graph.nodes()[node].filename == layer.filename;
                    });
}

Result<void> check_same_chain(const GuestView& view, const StreamPlan& plan) {
  const auto top = view.graph.find_node(plan.node);
  const bool was_backing = !plan.layers.empty() && plan.layers.front().is_backing;
  if (top && is_same_chain(view.graph, *top, plan) &&
      view.graph.nodes()[*top].is_backing == was_backing) {
    return {};
  }
  return make_error(ErrorKind::kUnsupported,
                    text("the chain of '", plan.path,
                         "' has been changed by another program meanwhile; pull the disk again"))
      .with_path(plan.path);
}

}  // namespace

void begin_stream_again(const std::shared_ptr<qmp::Monitor>& monitor, const StreamPlan& plan,
                        std::uint64_t bytes_per_second,
                        std::function<void(Result<std::shared_ptr<JobWatch>>)> then) {
  query_guest(monitor, [monitor, plan, bytes_per_second,
                        then = std::move(then)](const Result<GuestView>& view) {
    if (!view.ok()) {
      then(view.error());
      return;
    }
    auto watch = JobWatch::begin(monitor, plan.job_id);
    const bool has_begun =
        std::any_of(view->jobs.begin(), view->jobs.end(),
                    [&plan](const qmp::BlockJob& job) { return job.id == plan.job_id; });
    if (has_begun) {
      // The answer to an earlier try was lost.
      then(std::move(watch));
    } else if (auto may = check_may_write(view->state); !may.ok()) {
      then(std::move(may).error());
    } else if (auto same = check_same_chain(*view, plan); !same.ok()) {
      then(std::move(same).error());
    } else {
      monitor->execute(command_for(plan, bytes_per_second),
                       [then, watch](const Result<qmp::Json>& answer) {
                         if (answer.ok()) {
                           then(watch);
                         } else {
                           then(refusal_of_stream(answer.error()));
                         }
                       });
    }
  });
}

}  // namespace blockpull::driver
