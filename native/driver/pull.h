// SPDX-License-Identifier: Apache-2.0
//
// What a pull is: its options, its plan, and a pull that is ready to start. Both ways of pulling
// share this: `local/prepare_pull.h` for a disk that is shut off, `qemu/guest_pull.h` for a running
// guest's.

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

/// The layer that stays below the active one, as the driver finds it and domain XML states it.
struct KeptLayer {
  std::string path;
  /// "qcow2".
  std::string format;
};

struct PullOptions {
  std::string path;
  image::ChainOptions chain;
  /// Absent: everything is pulled and no backing file stays.
  std::optional<BaseChoice> base;
  /// Refuse (kUnsupported) when the new backing file could not be stated relative to the overlay.
  bool require_relative = false;
  /// For what lies behind the image in its file.
  TrailingPolicy trailing = TrailingPolicy::kRefuse;
  /// Of a plan: what would be moved is read (`plan/trial_read.h`).
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

}  // namespace blockpull::driver
