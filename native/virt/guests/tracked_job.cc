// SPDX-License-Identifier: Apache-2.0

#include "virt/guests/tracked_job.h"

#include <utility>

#include "virt/chains/released_layers.h"
#include "virt/session/job_reports.h"

namespace blockpull::virt {

std::shared_ptr<job::Job> track(const std::shared_ptr<Connection>& connection, const GuestDisk& on,
                                std::unique_ptr<driver::qemu::PreparedGuestPull> prepared,
                                std::uint64_t bandwidth, Asked asked) {
  const DiskRef disk = ref_to(on);
  auto place = connection->jobs().reserve(
      {.disk = disk, .is_in_guest = true, .is_orphan = !asked.is_asked_for});
  if (!place) {
    return nullptr;
  }
  job::JobOptions options;
  options.bandwidth = bandwidth;
  options.before_end = [store = connection->store(), disk,
                        end = prepared->end()](job::Outcome& outcome) {
    follow_in_xml(*store, disk, outcome,
                  [&end]() -> blockpull::Result<NewBacking> { return end->base; });
  };
  options.judge_end = judge_release(connection->engine(), prepared->files(),
                                    release_scope(connection, on.domain.uuid, asked.siblings));
  options.on_end = tell_end(connection->sink(), disk, std::move(asked.on_end));
  return connection->jobs().start(*std::move(place), connection->engine(), std::move(prepared),
                                  std::move(options));
}

}  // namespace blockpull::virt
