// SPDX-License-Identifier: Apache-2.0
//
// Format names are looked up here, before any file is opened.

#include "virt/calls/images.h"

#include <utility>

#include "core/base/limits.h"
#include "driver/local/prepare_pull.h"
#include "virt/chains/known_chains.h"
#include "virt/chains/released_layers.h"

namespace blockpull::virt {
namespace {

/// Bytes to hash in one turn, before other calls get theirs: some hundred milliseconds.
constexpr std::uint64_t kDigestTurn = 32 * limits::kMiB;

/// Bytes to hash between two checks for cancellation: some milliseconds. An abort, or the end of
/// the process, waits that long at most.
constexpr std::uint64_t kDigestStep = 2 * limits::kMiB;

blockpull::Result<image::ChainOptions> chain_options(const ImageRequest& request) {
  image::ChainOptions options;
  BLOCKPULL_TRY(format, format_of(request.format));
  BLOCKPULL_TRY(formats, stated_formats(request.backing_formats, {}));
  options.format = format;
  options.formats = std::move(formats);
  options.backing_paths = request.backing_paths;
  return options;
}

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

/// Opens the chain for reading, without locks.
blockpull::Result<image::Chain> open_unlocked(const ImageRequest& request) {
  BLOCKPULL_TRY(options, chain_options(request));
  return image::open_chain(request.path, options);
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

Result<void> create_image(const CreateRequest& request) {
  return lifted(create(request), &plain);
}

/// Hashes for one turn; false when everything is hashed.
blockpull::Result<bool> DigestCall::hash_on() {
  for (std::uint64_t hashed = 0; hashed < kDigestTurn; hashed += kDigestStep) {
    BLOCKPULL_CHECK(watch_.check());
    BLOCKPULL_TRY(goes_on, digest_->step(kDigestStep));
    watch_.reach(digest_->position());
    if (!goes_on) {
      return false;
    }
  }
  return true;
}

std::optional<Result<image::Digest>> DigestCall::step() {
  using Answer = Result<image::Digest>;
  if (const auto wanted = watch_.check(); !wanted.ok()) {
    return Answer(plain(wanted.error()));
  }
  if (!chain_) {
    auto opened = open_unlocked(request_);
    if (!opened.ok()) {
      return Answer(plain(std::move(opened).error()));
    }
    chain_.emplace(std::move(opened).value());
    if (const auto ends = chain_->check_walk(); !ends.ok()) {
      return Answer(plain(ends.error()));
    }
    open_ = OpenChains::of_process()->add(driver::files_of(*chain_));
    digest_.emplace(*chain_);
    watch_.begin(WalkPhase::kData, chain_->active().virtual_size());
  }
  const auto goes_on = hash_on();
  if (!goes_on.ok()) {
    return Answer(plain(goes_on.error()));
  }
  return goes_on.value() ? std::nullopt : std::optional(Answer(digest_->finish()));
}

}  // namespace blockpull::virt
