// SPDX-License-Identifier: Apache-2.0
//
// The common part of both ways to pull: its options, its plan, and a pull that is ready to start.
// `local/prepare_pull.h` is for a disk that is shut off, `qemu/guest_pull.h` for a running guest's.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/image/chain.h"
#include "driver/chain_file.h"
#include "driver/find_base.h"
#include "job/engine.h"
#include "job/job.h"

namespace blockpull::driver {

/// What a pull does with bytes behind the image in its file (`plan/trailing_policy.h`).
enum class TrailingPolicy : std::uint8_t { kRefuse, kKeep, kDiscard };

/// What a job does when a read or a write fails: it ends, or waits until somebody resumes it. The
/// last waits only for room on a full disk. QEMU's "ignore" would skip what it could not copy.
enum class OnError : std::uint8_t { kReport, kStop, kEnospc };

/// The layer that stays below the active one, as the driver finds it and domain XML states it.
struct KeptLayer {
  std::string path;
  /// "qcow2".
  std::string format;
};

struct PullOptions {
  std::string path;
  image::ChainOptions chain;
  /// Absent: pull everything, so that no backing file stays.
  std::optional<BaseChoice> base;
  /// Refuse (kUnsupported) if the new backing file cannot be stated relative to the overlay.
  bool require_relative = false;
  /// What to do with bytes behind the image in its file.
  TrailingPolicy trailing = TrailingPolicy::kRefuse;
  /// Only for a plan: also read the data that would be moved (`plan/trial_read.h`).
  bool reads_data = false;
};

struct PullPlan {
  std::uint64_t virtual_size = 0;
  std::uint64_t bytes_to_move = 0;
  std::uint64_t bytes_to_allocate = 0;
  /// Absent if a guest's files cannot be read from here; the two fields above are estimates then.
  std::optional<std::uint64_t> bytes_free;
  const char* method = "none";
  /// A pull would be refused with the first of these.
  std::vector<Error> refusals;
  std::vector<std::string> released;
  std::optional<std::string> base;
  /// The bytes behind the image that would be kept or discarded.
  std::optional<job::Trailing> trailing;
};

/// A pull that has passed all checks and waits to be started. If it is our engine's, it holds its
/// files and locks. It releases everything if it is never started.
class PreparedPull {
 public:
  virtual ~PreparedPull() = default;

  /// The image's chain before the pull, top first; only names if it is a guest's.
  [[nodiscard]] virtual std::vector<ChainFile> files() const = 0;

  /// May be called once.
  [[nodiscard]] virtual std::shared_ptr<job::Job> start(job::Engine& engine,
                                                        job::JobOptions options) = 0;
};

}  // namespace blockpull::driver
