// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/guest_plan.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"
#include "driver/pull_survey.h"

namespace blockpull::driver {
namespace {

/// QEMU lets no job onto an image that another one works on, nor onto its filter, which may lie
/// right above the base. One that does not tell what its jobs work on has named each after its
/// disk's device.
const qmp::BlockJob* job_in_the_way(const GuestView& view, const GuestPlan& plan,
                                    const std::vector<std::size_t>& chain) {
  const BlockGraph& graph = view.graph;
  const auto is_in_the_way = [&](const qmp::BlockJob& job) {
    const auto base = chain.begin() + static_cast<std::ptrdiff_t>(plan.base);
    return job.id != plan.stream.job_id &&
           (job.id == graph.disk_name(chain.front()) ||
            (base != chain.end() && graph.is_job_over(job.id, *base)) ||
            std::any_of(chain.begin(), base,
                        [&](std::size_t node) { return graph.is_job_on(job.id, node); }));
  };
  const auto found = std::find_if(view.jobs.begin(), view.jobs.end(), is_in_the_way);
  return found == view.jobs.end() ? nullptr : &*found;
}

/// The chain that begins at QEMU's file, if it is the one that QEMU has. A relative name means
/// QEMU's folder, and another file here.
Result<image::Chain> open_same_chain(const GuestPlan& plan, image::ChainOptions options) {
  if (!plan.stream.path.starts_with('/')) {
    return make_error(ErrorKind::kNotFound,
                      text("file name '", plan.stream.path, "' is relative to QEMU's folder"));
  }
  BLOCKPULL_TRY(format, image::parse_format(plan.layers.front().driver));
  options.format = format;
  BLOCKPULL_TRY(chain, image::open_chain(plan.stream.path, options));
  const bool is_same =
      std::equal(chain.layers.begin(), chain.layers.end(), plan.layers.begin(), plan.layers.end(),
                 [](const image::Layer& here, const BlockNode& in_qemu) {
                   const auto file = io::identify(in_qemu.filename);
                   return file.ok() && here.file != nullptr && *file == here.file->id() &&
                          here.image->virtual_size() == in_qemu.virtual_size;
                 });
  if (!is_same) {
    return make_error(ErrorKind::kNotFound,
                      text("chain of '", plan.stream.path, "' is not the one that QEMU has open"));
  }
  return chain;
}

Result<PullSurvey::Totals> count_in_files(const GuestPlan& plan,
                                          const std::optional<std::vector<std::string>>& paths) {
  image::ChainOptions options;
  options.backing_paths = paths;
  PullTarget target;
  BLOCKPULL_TRY(chain, open_same_chain(plan, std::move(options)));
  target.chain = std::move(chain);
  target.base = plan.base;
  return plan.stream.has_work ? survey(target) : PullSurvey::Totals{};
}

std::uint64_t estimate(const GuestPlan& plan) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 1; i < plan.base; ++i) {
    const BlockNode& layer = plan.layers[i];
    const std::uint64_t taken = layer.actual_size.value_or(layer.virtual_size);
    bytes += std::min(taken, plan.stream.virtual_size - bytes);
  }
  return bytes;
}

}  // namespace

Result<GuestPlan> plan_of_view(const GuestView& view, const GuestPullOptions& options,
                               const FindFollower& find_follower) {
  BLOCKPULL_TRY(found, preflight(view, options, find_follower));
  GuestPlan plan;
  plan.stream = std::move(found.plan);
  plan.refusals = std::move(found.refusals);
  const auto chain = view.graph.chain_from(found.top);
  for (const std::size_t node : chain) {
    plan.layers.push_back(view.graph.nodes()[node]);
  }
  plan.base = found.base;
  for (std::size_t i = 1; i < plan.base; ++i) {
    if (!view.graph.is_shared(chain, chain[i])) {
      plan.released.push_back(plan.layers[i].filename);
    }
  }
  if (const qmp::BlockJob* const job = job_in_the_way(view, plan, chain)) {
    plan.refusals.push_back(
        make_error(ErrorKind::kJobActive,
                   text("job '", job->id, "' (", job->type, ") works on '", plan.stream.path,
                        "' or on a layer that would drop out, and "
                        "QEMU lets no other job onto it; wait for its end")));
  }
  return plan;
}

PullPlan measure(const GuestPlan& plan,
                 const std::optional<std::vector<std::string>>& backing_paths) {
  PullPlan measured;
  measured.virtual_size = plan.stream.virtual_size;
  measured.method = plan.stream.has_work ? "block-stream" : "none";
  measured.refusals = plan.refusals;
  measured.released = plan.released;
  if (plan.stream.base) {
    measured.base = plan.stream.base->path;
  }
  if (const auto totals = count_in_files(plan, backing_paths); totals.ok()) {
    measured.bytes_to_move = totals->bytes_to_move;
    measured.bytes_to_allocate = totals->bytes_to_allocate;
    judge_space(measured, plan.stream.path);
  } else {
    measured.bytes_to_move = estimate(plan);
    measured.bytes_to_allocate = measured.bytes_to_move;
  }
  return measured;
}

}  // namespace blockpull::driver
