// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/same_chain.h"

#include <algorithm>

#include "core/base/text.h"

namespace blockpull::driver::qemu {
namespace {

/// Whether QEMU has the chain of the plan.
bool is_same_chain(const BlockGraph& graph, std::size_t top, const StreamPlan& plan) {
  const auto chain = graph.chain_from(top);
  return std::equal(chain.begin(), chain.end(), plan.layers.begin(), plan.layers.end(),
                    [&graph](std::size_t node, const BlockNode& layer) {
                      const BlockNode& now = graph.nodes()[node];
                      return now.name == layer.name && now.filename == layer.filename &&
                             now.virtual_size == layer.virtual_size;
                    });
}

}  // namespace

Result<void> check_same_chain(const GuestView& view, const StreamPlan& plan) {
  const auto top = view.graph.find_node(plan.node);
  const bool was_backing = !plan.layers.empty() && plan.layers.front().is_backing;
  if (top && is_same_chain(view.graph, *top, plan) &&
      view.graph.nodes()[*top].is_backing == was_backing) {
    return {};
  }
  return make_error(
             ErrorKind::kUnsupported,
             text("chain of '", plan.path, "' was changed by another program; pull the disk again"))
      .with_path(plan.path);
}

}  // namespace blockpull::driver::qemu
