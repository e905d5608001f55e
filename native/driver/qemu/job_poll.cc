// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/job_poll.h"

#include <optional>
#include <utility>

namespace blockpull::driver::qemu {
namespace {

using qmp::Json;

/// Filled by the answers, which come on one thread.
struct Asked {
  std::function<void(Result<PolledJobs>)> done;
  std::uint32_t owed = 0;
  PolledJobs polled;
  Json status;
  Json migration;
  std::optional<Error> error;
};

using Take = void (*)(Asked&, const Json&);

void ask(qmp::Monitor& monitor, const std::shared_ptr<Asked>& asked, qmp::Command command,
         Take take) {
  monitor.execute(std::move(command), [asked, take](const Result<Json>& answer) {
    if (answer.ok()) {
      take(*asked, *answer);
    } else if (!asked->error) {
      asked->error = answer.error();
    }
    if (--asked->owed > 0) {
      return;
    }
    if (asked->error) {
      asked->done(*asked->error);
      return;
    }
    asked->polled.state = read_run_state(asked->status, asked->migration);
    asked->done(std::move(asked->polled));
  });
}

}  // namespace

void poll_jobs(const std::shared_ptr<qmp::Monitor>& monitor, bool has_run_state,
               std::function<void(Result<PolledJobs>)> done) {
  const auto asked = std::make_shared<Asked>();
  asked->done = std::move(done);
  asked->owed = has_run_state ? 3 : 1;
  ask(*monitor, asked, qmp::query_block_jobs(),
      [](Asked& all, const Json& jobs) { all.polled.jobs = qmp::read_block_jobs(jobs); });
  if (has_run_state) {
    ask(*monitor, asked, {"query-migrate", "", false},
        [](Asked& all, const Json& migration) { all.migration = migration; });
    ask(*monitor, asked, {"query-status", "", false},
        [](Asked& all, const Json& status) { all.status = status; });
  }
}

}  // namespace blockpull::driver::qemu
