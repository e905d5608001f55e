// SPDX-License-Identifier: Apache-2.0

#include "virt/guests/tracked_job.h"

#include <utility>

#include "virt/chains/released_layers.h"
#include "virt/session/job_reports.h"

namespace blockpull::virt {

std::shared_ptr<job::Job> follow(const std::shared_ptr<Connection>& connection, const GuestDisk& on,
                                 std::unique_ptr<driver::qemu::PreparedGuestPull> prepared,
                                 std::uint64_t bandwidth, Asked asked) {
  JobLabel label{on.domain.uuid, on.disk.target, on.disk.source, true, !asked.is_asked_for};
  auto place = connection->jobs().reserve(std::move(label));
  if (!place) {
    return nullptr;
  }
  const JobSubject subject{on.domain.name, on.domain.uuid, on.disk.target, on.disk.source};
  job::JobOptions options;
  options.bandwidth = bandwidth;
  options.before_end = [store = connection->store(), subject,
                        end = prepared->end()](job::Outcome& outcome) {
    follow_in_xml(*store, subject, outcome,
                  [&end]() -> blockpull::Result<NewBacking> { return end->base; });
  };
  options.judge_end = judge_release(connection->engine(), prepared->files(),
                                    release_scope(connection, on.domain.uuid, asked.siblings));
  options.on_end = tell_end(connection->sink(), subject, std::move(asked.on_end));
  return connection->jobs().start(*std::move(place), connection->engine(), std::move(prepared),
                                  std::move(options));
}

}  // namespace blockpull::virt
