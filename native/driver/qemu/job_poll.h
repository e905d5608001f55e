// SPDX-License-Identifier: Apache-2.0
//
// One poll of a QEMU: its jobs, and whether it may write. The queries are sent together and
// answered in this order, so the jobs are older than the state. inactive_watch.h relies on that.
//
// Thread rule: any thread; `done` runs on the reactor's thread.

#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/qmp/commands.h"
#include "core/qmp/monitor.h"
#include "driver/qemu/run_state.h"

namespace blockpull::driver::qemu {

struct PolledJobs {
  std::vector<qmp::BlockJob> jobs;
  RunState state;
};

/// `has_run_state`: this QEMU offers query-status and query-migrate. Fails as Monitor::Answer does.
void poll_jobs(const std::shared_ptr<qmp::Monitor>& monitor, bool has_run_state,
               std::function<void(Result<PolledJobs>)> done);

/// Whether that QEMU has a guest, which can be migrated.
[[nodiscard]] inline bool offers_run_state(const qmp::Peer& peer) {
  return peer.offers("query-status") && peer.offers("query-migrate");
}

}  // namespace blockpull::driver::qemu
