// SPDX-License-Identifier: Apache-2.0
//
// Format names are looked up here, before any file is opened.

#include "virt/calls/images.h"

#include <algorithm>
#include <utility>

#include "driver/local/prepare_pull.h"
#include "virt/chains/known_chains.h"
#include "virt/chains/released_layers.h"

namespace blockpull::virt {
namespace {

blockpull::Result<driver::PullOptions> pull_options(const ImagePullRequest& request) {
  driver::PullOptions options;
  options.path = request.image.path;
  BLOCKPULL_TRY(chain, chain_options(request.image));
  options.chain = std::move(chain);
  if (request.base) {
    options.base = driver::BaseChoice{*request.base, std::nullopt, true};
  }
  options.trailing = request.trailing;
  options.reads_data = request.reads_data;
  return options;
}

blockpull::Result<void> create(const CreateRequest& request) {
  image::CreateOptions options;
  BLOCKPULL_TRY(backing_format, format_of(request.backing_format));
  options.path = request.path;
  options.size = request.size;
  options.backing_file = request.backing_file;
  options.backing_format = backing_format;
  options.cluster_size = request.cluster_size;
  options.version = request.version;
  return image::create_image(options);
}

/// Other images that may need what the pull of a bare image releases.
ReleaseScope scope_of(const ImagePullRequest& request, const driver::PullOptions& options) {
  ReleaseScope scope;
  scope.siblings = request.siblings;
  scope.sibling_options = options.chain;
  scope.sibling_options.format = image::Format::kQcow2;
  return scope;
}

}  // namespace

Result<std::shared_ptr<job::Job>> pull_image(job::Engine& engine, LiveJobs& jobs,
                                             const ImagePullRequest& request,
                                             std::function<void(const job::Outcome&)> on_end) {
  const auto closed = [] {
    return plain(make_error(ErrorKind::kClosed, "process is ending; no job can be started"));
  };
  auto place = jobs.reserve({});
  if (!place) {
    return closed();
  }
  BLOCKPULL_TRY(options, lifted(pull_options(request), &plain));
  BLOCKPULL_CHECK(lifted(check_siblings(request.siblings), &plain));
  auto prepared = driver::prepare_pull(engine, options, [&jobs] { return !jobs.is_closed(); });
  if (!prepared.ok()) {
    return jobs.is_closed() ? closed() : plain(std::move(prepared).error());
  }
  job::JobOptions job_options;
  job_options.judge_end = judge_release(engine, (*prepared)->files(), scope_of(request, options));
  job_options.bandwidth = request.bandwidth;
  job_options.on_end = std::move(on_end);
  auto job =
      jobs.start(*std::move(place), engine, std::move(prepared).value(), std::move(job_options));
  if (job == nullptr) {
    return closed();
  }
  return job;
}

Result<TimedPlan> plan_image(job::Engine& engine, const ImagePullRequest& request,
                             const WalkWatch& watch) {
  BLOCKPULL_TRY(options, lifted(pull_options(request), &plain));
  BLOCKPULL_CHECK(lifted(check_siblings(request.siblings), &plain));
  BLOCKPULL_TRY(plan, lifted(driver::plan_pull(engine, options, watch), &plain));
  keep_needed_layers(scope_of(request, options), options.path, plan);
  return timed(std::move(plan), request.bandwidth, &plain);
}

Result<std::vector<image::LayerInfo>> inspect_chain(const ImageRequest& request,
                                                    const WalkWatch& watch) {
  BLOCKPULL_TRY(options, lifted(chain_options(request), &plain));
  return lifted(image::inspect_chain(request.path, options, watch), &plain);
}

Result<image::ImageInfo> image_info(const ImageFileRequest& request) {
  BLOCKPULL_TRY(format, lifted(format_of(request.format), &plain));
  return lifted(image::image_info(request.path, format), &plain);
}

Result<ImageCheck> check_image(const ImageCheckRequest& request, const WalkWatch& watch) {
  const std::string& path = request.image.path;
  BLOCKPULL_TRY(format, lifted(format_of(request.image.format), &plain));
  if (!request.repair) {
    BLOCKPULL_TRY(report, lifted(image::check_image(path, format, watch), &plain));
    return ImageCheck{std::move(report), std::nullopt};
  }
  BLOCKPULL_TRY(repair, lifted(image::repair_image(path, format, *request.repair, watch), &plain));
  const auto fallen = [](std::uint64_t from, std::uint64_t to) {
    return from - std::min(from, to);
  };
  const ImageCheck::Repaired repaired{fallen(repair.found.errors, repair.left.errors),
                                      fallen(repair.found.leaks, repair.left.leaks)};
  return ImageCheck{std::move(repair.left), repaired};
}

Result<void> create_image(const CreateRequest& request) {
  return lifted(create(request), &plain);
}

}  // namespace blockpull::virt
