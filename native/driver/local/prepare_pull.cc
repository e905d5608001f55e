// SPDX-License-Identifier: Apache-2.0
//
// Prepares a pull: claims the disk, opens and locks the chain, finds the base, checks the active
// image. All of it comes before the first write, so a refusal leaves everything as it was.

#include "driver/local/prepare_pull.h"

#include <utility>

#include "core/base/text.h"
#include "core/image/backing_name.h"
#include "core/image/qcow2/qcow2_image.h"
#include "core/image/qcow2/support.h"
#include "driver/local/local_pull.h"
#include "driver/plan/free_space.h"
#include "driver/plan/pull_survey.h"
#include "driver/plan/trial_read.h"

namespace blockpull::driver {
namespace {

class Prepared final : public PreparedPull {
 public:
  [[nodiscard]] std::vector<ChainFile> files() const override { return files_of(target->chain); }

  std::shared_ptr<job::Job> start(job::Engine& engine, job::JobOptions options) override {
    return job::Job::start(engine,
                           std::make_unique<LocalPull>(std::move(target), std::move(metadata)),
                           std::move(claim), std::move(options));
  }

  job::Registry::Claim claim;
  std::unique_ptr<PullTarget> target;
  std::unique_ptr<PullMetadata> metadata;
};

std::vector<NamedLayer> named(const image::Chain& chain) {
  std::vector<NamedLayer> layers;
  for (const image::Layer& layer : chain.layers) {
    NamedLayer name{layer.path, {}, {}, {}};
    if (!layers.empty()) {
      name.stated = chain.layers[layers.size() - 1].image->backing()->name;
    }
    if (layer.file != nullptr) {
      name.file = layer.file->id();
    }
    layers.push_back(std::move(name));
  }
  return layers;
}

/// What the header of the active image will state once layers[base] is its backing file.
Result<image::BackingReference> reference_to(const image::Chain& chain, std::size_t base,
                                             bool require_relative) {
  const std::string& path = chain.layers.front().path;
  std::vector<std::string> stated;
  for (std::size_t layer = 0; layer < base; ++layer) {
    stated.push_back(chain.layers[layer].image->backing()->name);
  }
  BLOCKPULL_TRY(name, image::backing_name_for({path}, chain.layers[base].path, stated));
  if (require_relative && name.starts_with('/')) {
    return make_error(ErrorKind::kUnsupported,
                      text("backing file name '", name, "' is absolute; the base of '", path,
                           "' cannot be named relative to it"));
  }
  return image::BackingReference{.name = std::move(name),
                                 .format = image::format_name(chain.layers[base].image->format())};
}

/// Opens another descriptor and drops the cached pages, so that reads come from the disk.
Result<std::unique_ptr<io::File>> open_anew(const std::string& path, io::FileId pulled) {
  BLOCKPULL_TRY(file, io::PosixFile::open(path, io::Access::kReadOnly));
  if (file->id() != pulled) {
    return make_error(ErrorKind::kIo,
                      text("image '", path, "' was replaced by another file during the pull"));
  }
  file->forget_cached_pages();
  return std::unique_ptr<io::File>(std::move(file));
}

/// Opens for a pull, with its locks; or for a plan, which collects the refusals of a pull instead.
Result<std::unique_ptr<PullTarget>> open_target(const PullOptions& options,
                                                std::vector<Error>* pull_refusals) {
  auto target = std::make_unique<PullTarget>();
  image::ChainOptions chain_options = options.chain;
  chain_options.lock_for_pull = pull_refusals == nullptr;
  chain_options.pull_refusals = pull_refusals;
  BLOCKPULL_TRY(chain, image::open_chain(options.path, chain_options));
  target->chain = std::move(chain);
  target->absolute_path = absolute_name(options.path);
  target->open_anew = [path = target->absolute_path,
                       pulled = target->chain.layers.front().file->id()] {
    return open_anew(path, pulled);
  };
  target->base = target->chain.layers.size();
  if (options.base) {
    BLOCKPULL_TRY(base, find_base(named(target->chain), *options.base));
    target->base = base;
  }
  target->trailing = options.trailing;
  target->layer_watch = LayerWatch(target->chain, target->base);
  target->has_work = target->chain.layers.size() > 1 && target->base != 1;
  if (target->has_work && target->keeps_base()) {
    BLOCKPULL_TRY(backing, reference_to(target->chain, target->base, options.require_relative));
    target->new_backing = std::move(backing);
  }
  return target;
}

/// Refuses an image that a pull must not write to, then reads and checks the tables.
Result<std::unique_ptr<PullMetadata>> judge(PullTarget& target, const IsWanted& is_wanted) {
  if (!target.has_work) {
    return std::unique_ptr<PullMetadata>();
  }
  BLOCKPULL_CHECK(
      image::qcow2::check_writable(target.active().header(), target.chain.layers.front().path));
  BLOCKPULL_CHECK(target.chain.check_walk());
  return PullMetadata::open(target, is_wanted);
}

/// Measures, and reads if requested, what the pull would move. A refusal ends this, but not the
/// plan.
Result<void> count(PullPlan& plan, PullTarget& target, bool reads_data, const WalkWatch& watch) {
  auto metadata = judge(target, [&watch] { return watch.check().ok(); });
  BLOCKPULL_CHECK(watch.check());
  if (!metadata.ok()) {
    plan.refusals.push_back(std::move(metadata).error());
    return {};
  }
  if (*metadata == nullptr) {
    return {};
  }
  plan.trailing = (*metadata)->trailing();
  BLOCKPULL_TRY(totals, survey(target, watch));
  plan.bytes_to_move = totals.bytes_to_move;
  plan.bytes_to_allocate = totals.bytes_to_allocate;
  if (reads_data) {
    BLOCKPULL_TRY(found, read_trial(target, plan.bytes_to_move, watch));
    plan.refusals.insert(plan.refusals.end(), found.begin(), found.end());
  }
  return {};
}

/// Takes the same steps as prepare_pull.
Result<void> fill(PullPlan& plan, job::Engine& engine, const PullOptions& options,
                  const WalkWatch& watch) {
  BLOCKPULL_TRY(disk, io::identify(options.path));
  if (auto claimed = engine.registry().claim_refusal(disk, options.path)) {
    plan.refusals.push_back(*std::move(claimed));
  }
  BLOCKPULL_TRY(target, open_target(options, &plan.refusals));
  plan.virtual_size = target->chain.active().virtual_size();
  BLOCKPULL_CHECK(count(plan, *target, options.reads_data, watch));
  check_space(plan, options.path);
  plan.method = plan.bytes_to_move > 0 ? engine.method() : "none";
  plan.released = target->intermediate_paths();
  if (target->keeps_base()) {
    plan.base = target->chain.layers[target->base].path;
  }
  return {};
}

}  // namespace

Result<PullPlan> plan_pull(job::Engine& engine, const PullOptions& options,
                           const WalkWatch& watch) {
  PullPlan plan;
  if (auto filled = fill(plan, engine, options, watch); !filled.ok()) {
    const bool is_given_up = filled.error().kind == ErrorKind::kCancelled;
    // A pull would have been refused before it came to this error.
    return is_given_up || plan.refusals.empty() ? std::move(filled).error()
                                                : std::move(plan.refusals.front());
  }
  return plan;
}

Result<std::unique_ptr<PreparedPull>> prepare_pull(job::Engine& engine, const PullOptions& options,
                                                   const IsWanted& is_wanted) {
  auto prepared = std::make_unique<Prepared>();
  BLOCKPULL_TRY(disk, io::identify(options.path));
  BLOCKPULL_TRY(claim, engine.registry().claim(disk, options.path));
  prepared->claim = std::move(claim);
  BLOCKPULL_TRY(target, open_target(options, nullptr));
  prepared->target = std::move(target);
  BLOCKPULL_TRY(metadata, judge(*prepared->target, is_wanted));
  prepared->metadata = std::move(metadata);
  return std::unique_ptr<PreparedPull>(std::move(prepared));
}

}  // namespace blockpull::driver
