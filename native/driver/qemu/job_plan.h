// SPDX-License-Identifier: Apache-2.0
//
// What is known of a job in QEMU before it is tracked, whatever its kind.

#pragma once

#include <cstdint>
#include <string>

#include "driver/qemu/run_state.h"
#include "job/kind.h"

namespace blockpull::driver::qemu {

struct JobPlan {
  job::Kind kind = job::Kind::kPull;
  std::string job_id;
  /// The node of the active layer, and the name that users give its disk.
  std::string node;
  std::string disk_name;
  /// Path of the active layer as QEMU names it.
  std::string path;
  std::uint64_t virtual_size = 0;
  /// QEMU finalizes the job by itself. Version 0.1.0 requested this for jobs that nobody tracks.
  bool auto_finalize = false;
  /// There is work to do. Without work QEMU is not asked for a job.
  bool has_work = true;
  /// An earlier process started it, and the guest's history since then is not known.
  bool was_there = false;
  /// QEMU has a job for it.
  [[nodiscard]] bool has_job() const { return has_work || was_there; }
  /// This QEMU has a guest, which can be migrated.
  bool has_run_state = false;
  /// The guest's state when the plan was made.
  RunState state;
};

}  // namespace blockpull::driver::qemu
