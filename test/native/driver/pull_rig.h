// SPDX-License-Identifier: Apache-2.0
//
// Runs one whole pull of a recorded disk on an inline host, and reports its outcome. The chain is
// built here from files in memory; `driver/local/prepare_pull.cc` takes files on disk.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/image/chain.h"
#include "driver/local/pull_metadata.h"
#include "faults/qcow2_checker.h"
#include "faults/recording_file.h"
#include "job/work.h"

namespace blockpull::driver {

struct PullScript {
  /// Name of the backing file that stays; empty: none.
  std::string base;
  std::uint64_t bandwidth = 0;
  TrailingPolicy trailing = TrailingPolicy::kRefuse;
  /// Lifts the limit after this many steps.
  std::uint64_t lift_limit_at = faults::kNever;
  /// The order of pending events; 0: the order of the requests.
  std::uint64_t seed = 0;
  /// Stops the job after this many steps.
  std::uint64_t stop_at = faults::kNever;
  job::Stop stop = job::Stop::kCancel;
};

struct PullRun {
  /// The image was refused before anything was written.
  std::optional<Error> refused;
  bool finished = false;
  job::Ending ending;
  std::uint64_t steps = 0;
  /// Calls and timers that the job has left at its end.
  std::size_t left_behind = 0;
  std::uint64_t settled = 0;
  std::uint64_t total = 0;

  [[nodiscard]] bool completed() const { return finished && !ending.error; }
  /// For the message of a failed test.
  [[nodiscard]] std::string summary() const;
};

/// Opens the chain over `disk`; its backing files come from `backings`, by name.
[[nodiscard]] Result<image::Chain> open_recorded(const std::shared_ptr<faults::RecordedDisk>& disk,
                                                 const faults::BackingFiles& backings);

/// The target of a pull of that chain down to `base`.
[[nodiscard]] std::unique_ptr<PullTarget> target_of(image::Chain chain, const std::string& base,
                                                    const faults::BackingFiles& backings);

[[nodiscard]] PullRun run_pull(const std::shared_ptr<faults::RecordedDisk>& disk,
                               const faults::BackingFiles& backings, const PullScript& script);

}  // namespace blockpull::driver
