// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/guest_plan.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"
#include "driver/plan/free_space.h"
#include "driver/plan/pull_survey.h"
#include "driver/qemu/guest_files.h"

namespace blockpull::driver::qemu {
namespace {

Result<PullSurvey::Totals> count_in_files(const StreamPlan& plan, const WalkWatch& watch) {
  PullTarget target;
  BLOCKPULL_TRY(chain, open_beside_qemu(plan.layers));
  BLOCKPULL_CHECK(chain.check_walk());
  target.chain = std::move(chain);
  target.base = plan.base_index;
  return plan.has_work ? survey(target, watch) : PullSurvey::Totals{};
}

std::uint64_t estimate(const GuestPlan& plan) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 1; i < plan.stream.base_index; ++i) {
    const BlockNode& layer = plan.stream.layers[i];
    const std::uint64_t taken = layer.actual_size.value_or(layer.virtual_size);
    bytes += std::min(taken, plan.stream.virtual_size - bytes);
  }
  return bytes;
}

}  // namespace

Result<GuestPlan> plan_of_view(const GuestView& view, const GuestPullOptions& options,
                               const FindTrackedJob& find_tracked_job) {
  BLOCKPULL_TRY(found, preflight(view, options, find_tracked_job));
  GuestPlan plan;
  plan.stream = std::move(found.plan);
  plan.refusals = std::move(found.refusals);
  const auto chain = view.graph.chain_from(found.top);
  for (std::size_t i = 1; i < plan.stream.base_index; ++i) {
    if (!view.graph.is_shared(chain, chain[i])) {
      plan.released.push_back(plan.stream.layers[i].filename);
    }
  }
  if (found.other_job) {
    plan.refusals.push_back(*std::move(found.other_job));
  }
  return plan;
}

Result<PullPlan> measure(const GuestPlan& plan, const WalkWatch& watch) {
  PullPlan measured;
  measured.virtual_size = plan.stream.virtual_size;
  measured.method = plan.stream.has_work ? "block-stream" : "none";
  measured.refusals = plan.refusals;
  measured.released = plan.released;
  if (plan.stream.base) {
    measured.base = plan.stream.base->path;
  }
  if (const auto totals = count_in_files(plan.stream, watch); totals.ok()) {
    measured.bytes_to_move = totals->bytes_to_move;
    measured.bytes_to_allocate = totals->bytes_to_allocate;
    check_space(measured, plan.stream.layers.front().seen->path);
  } else if (totals.error().kind == ErrorKind::kCancelled) {
    return totals.error();
  } else {
    measured.bytes_to_move = estimate(plan);
    measured.bytes_to_allocate = measured.bytes_to_move;
  }
  return measured;
}

}  // namespace blockpull::driver::qemu
