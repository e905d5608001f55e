// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/job_look.h"

#include <optional>
#include <utility>

namespace blockpull::driver {
namespace {

using qmp::Json;

/// Filled by the answers, which come one after another on one thread.
struct Asked {
  std::function<void(Result<JobLook>)> then;
  JobLook look;
  Json status;
  std::optional<Error> error;
};

void fail_once(Asked& asked, const Error& error) {
  if (!asked.error) {
    asked.error = error;
  }
}

}  // namespace

void look_at_jobs(const std::shared_ptr<qmp::Monitor>& monitor, bool has_run_state,
                  std::function<void(Result<JobLook>)> then) {
  const auto asked = std::make_shared<Asked>();
  asked->then = std::move(then);
  monitor->execute(qmp::query_block_jobs(), [asked, has_run_state](const Result<Json>& jobs) {
    if (jobs.ok()) {
      asked->look.jobs = qmp::read_block_jobs(*jobs);
    } else {
      fail_once(*asked, jobs.error());
    }
    if (!has_run_state) {
      asked->then(asked->error ? Result<JobLook>(*asked->error) : std::move(asked->look));
    }
  });
  if (!has_run_state) {
    return;
  }
  monitor->execute({"query-status", "", false}, [asked](const Result<Json>& status) {
    if (status.ok()) {
      asked->status = *status;
    } else {
      fail_once(*asked, status.error());
    }
  });
  monitor->execute({"query-migrate", "", false}, [asked](const Result<Json>& migration) {
    if (!migration.ok()) {
      fail_once(*asked, migration.error());
    }
    if (asked->error) {
      asked->then(*asked->error);
      return;
    }
    asked->look.state = read_run_state(asked->status, *migration);
    asked->then(std::move(asked->look));
  });
}

}  // namespace blockpull::driver
