// SPDX-License-Identifier: Apache-2.0
//
// One look at the jobs of a QEMU and at whether it may write. The questions are sent together and
// answered in this order, so what is told of a job was so before what is told of the state; on that
// order inactive_watch.h relies.
//
// Thread rule: any thread; `then` runs on the reactor's thread.

#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/qmp/commands.h"
#include "core/qmp/monitor.h"
#include "driver/qemu/run_state.h"

namespace blockpull::driver::qemu {

struct JobLook {
  std::vector<qmp::BlockJob> jobs;
  RunState state;
};

/// `has_run_state`: this QEMU offers query-status and query-migrate. Fails as Monitor::Answer says.
void look_at_jobs(const std::shared_ptr<qmp::Monitor>& monitor, bool has_run_state,
                  std::function<void(Result<JobLook>)> then);

/// Whether that QEMU has a guest, which can be migrated.
[[nodiscard]] inline bool offers_run_state(const qmp::Peer& peer) {
  return peer.offers("query-status") && peer.offers("query-migrate");
}

}  // namespace blockpull::driver::qemu
