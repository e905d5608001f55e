// SPDX-License-Identifier: Apache-2.0
//
// Whether QEMU may write to a guest's images at all. While a guest is migrated, saved to a file or
// loaded, its images become inactive. QEMU 7.2 and 10.0 then
//
//     let a running stream continue, skip its writes and count them as done (docs/qemu-defects.md),
//     answer "Block node is read-only" to a flush, and
//     abort if a job is started or finalized in that time.
//
// So nothing is started, flushed or finalized then. query-status shows the guest, query-migrate the
// migration. The latter stays "completed" for good and has no time. So for an old migration only a
// change of the answer counts.
//
// query-migrate is sent first. In the other order, a switch-over between the two answers would look
// like a guest that has come back:
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
  /// RunState of QEMU: "running", "postmigrate"; "" if QEMU does not offer it.
  std::string status;
  /// MigrationStatus: "active", "completed"; "" if there never was a migration.
  std::string migration;
  /// The migration's numbers, which differ between migrations.
  std::string migration_mark;

  auto operator<=>(const RunState&) const = default;
};

[[nodiscard]] RunState read_run_state(const qmp::Json& query_status,
                                      const qmp::Json& query_migrate);

/// A migration is running.
[[nodiscard]] bool is_migrating(const RunState& state);

/// The images are inactive, or may become inactive at any moment.
[[nodiscard]] bool is_inactive(const RunState& state);

/// kGuestBusy, with the reason, while a job must not be started, flushed or finalized.
[[nodiscard]] Result<void> check_may_write(const RunState& state);

}  // namespace blockpull::driver::qemu
