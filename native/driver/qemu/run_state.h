// SPDX-License-Identifier: Apache-2.0
//
// Whether QEMU may write to a guest's images at all. While a guest is migrated, saved to a file or
// loaded its images become inactive, and then QEMU 7.2 and 10.0
//
//     let a running stream go on, skip its writes and count them as done (docs/qemu-defects.md),
//     answer "Block node is read-only" to a flush, and
//     abort where a job is begun or finalized in that time.
//
// So nothing is begun, flushed or finalized then. query-status tells of the guest, query-migrate of
// the migration; the latter stays "completed" for good and carries no time, so of an old migration
// it says nothing: what counts there is whether the answer is another one than before.
//
// The migration is asked for first. The other way round a switch-over between the two answers would
// look like a guest that has come back:
//
//     query-status   "running"
//                                  the images go
//     query-migrate  "completed"
//
// Pure functions over answers. A storage daemon offers neither command, and migrates nothing.

#pragma once

#include <string>

#include "core/base/result.h"
#include "core/qmp/json.h"

namespace blockpull::driver::qemu {

struct RunState {
  /// RunState of QEMU: "running", "postmigrate"; "" where it is not offered.
  std::string status;
  /// MigrationStatus: "active", "completed"; "" where none was ever begun.
  std::string migration;
  /// The migration's numbers: another migration has others.
  std::string migration_mark;

  auto operator<=>(const RunState&) const = default;
};

[[nodiscard]] RunState read_run_state(const qmp::Json& query_status,
                                      const qmp::Json& query_migrate);

/// A migration goes on.
[[nodiscard]] bool is_migrating(const RunState& state);

/// The images are inactive, or may be so at any moment.
[[nodiscard]] bool is_inactive(const RunState& state);

/// kGuestBusy, with what is going on, while a job must be neither begun nor flushed nor finalized.
[[nodiscard]] Result<void> check_may_write(const RunState& state);

}  // namespace blockpull::driver::qemu
