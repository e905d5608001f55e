// SPDX-License-Identifier: Apache-2.0
//
// The pull of a shut-off disk, as `virt` calls it: prepare (open, lock, judge), then start; or
// plan. Everything that can be refused is refused by prepare_pull, before one byte is written.
// `qemu/guest_pull.h` has the pull of a running guest's disk.
//
// Thread rule: these calls block for a few file operations; never call them on an event loop.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/walk_watch.h"
#include "core/image/chain.h"
#include "driver/chain_file.h"
#include "driver/find_base.h"
#include "driver/trailing_policy.h"
#include "job/engine.h"
#include "job/job.h"

namespace blockpull::driver {

struct PullOptions {
  std::string path;
  image::ChainOptions chain;
  /// Absent: everything is pulled and no backing file stays.
  std::optional<BaseChoice> base;
  /// Refuse (kUnsupported) when the new backing file could not be stated relative to the overlay.
  bool require_relative = false;
  /// For what lies behind the image in its file.
  TrailingPolicy trailing = TrailingPolicy::kRefuse;
  /// Of a plan: what would be moved is read (`trial_read.h`).
  bool reads_data = false;
};

struct PullPlan {
  std::uint64_t virtual_size = 0;
  std::uint64_t bytes_to_move = 0;
  std::uint64_t bytes_to_allocate = 0;
  /// Absent when the files cannot be read from here, a guest's: the two above are estimates then.
  std::optional<std::uint64_t> bytes_free;
  const char* method = "none";
  /// The first is what a pull would be refused with.
  std::vector<Error> refusals;
  std::vector<std::string> released;
  std::optional<std::string> base;
  /// What would be kept or discarded behind the image.
  std::optional<job::Trailing> trailing;
};

/// What a pull would do now. Takes no lock; files that somebody uses, and an active image that a
/// pull cannot or must not write to, are among `refusals`, in the order in which prepare_pull()
/// would meet them; what a pull meets on its way comes last: data that cannot be read, where
/// `options.reads_data`, and a filesystem with too little space.
/// Fails when the chain cannot be read, or has no such base or none that can be stated as asked,
/// and also then with what prepare_pull() would say.
/// kCancelled where nobody wants it any more.
[[nodiscard]] Result<PullPlan> plan_pull(job::Engine& engine, const PullOptions& options,
                                         const WalkWatch& watch);

/// Fills in the free space beside the image at `path`, and refuses where the plan takes more.
void judge_space(PullPlan& plan, const std::string& path);

/// A pull that has refused nothing and waits to be started, with its files and locks if it is our
/// engine's. One that is not started gives back what it holds.
class PreparedPull {
 public:
  virtual ~PreparedPull() = default;

  /// The image's chain before the pull, top first; by name alone where it is a guest's.
  [[nodiscard]] virtual std::vector<ChainFile> files() const = 0;

  /// Once.
  [[nodiscard]] virtual std::shared_ptr<job::Job> start(job::Engine& engine,
                                                        job::JobOptions options) = 0;
};

/// kJobActive, kLocked, kNoBase, kFeatureUnsupported, kImageCorrupt, … , kCancelled where nobody
/// wants it any more; nothing has been written then.
[[nodiscard]] Result<std::unique_ptr<PreparedPull>> prepare_pull(job::Engine& engine,
                                                                 const PullOptions& options,
                                                                 const IsWanted& is_wanted);

}  // namespace blockpull::driver
