// SPDX-License-Identifier: Apache-2.0

#include "virt/guests/guest_jobs.h"

#include <string>
#include <utility>

#include "driver/qemu/guest_view.h"
#include "driver/qemu/job_id.h"
#include "driver/qemu/orphaned_job.h"
#include "virt/guests/orphans.h"
#include "virt/session/waiting_call.h"

namespace blockpull::virt {
namespace {

/// The job of `view` on that disk: ours by its id, or one that works on its active layer. Lower
/// layers may also belong to another disk. A QEMU that does not report which nodes its jobs use has
/// named the job after the disk's device.
const qmp::BlockJob* job_on(const driver::qemu::GuestView& view, std::size_t node) {
  const std::string& node_name = view.graph.nodes()[node].name;
  for (const qmp::BlockJob& job : view.jobs) {
    if (driver::qemu::is_job_on(job.id, node_name) || view.graph.is_job_on(job.id, node) ||
        job.id == view.graph.disk_name(node)) {
      return &job;
    }
  }
  return nullptr;
}

/// A search that waits for QEMU's lists.
struct Search {
  std::shared_ptr<Connection> connection;
  std::shared_ptr<qmp::Monitor> monitor;
  GuestDisk on;
  driver::qemu::DiskName named;
  bool may_adopt = false;
};

Result<FoundJob> find_in_view(const Search& search, const driver::qemu::GuestView& view) {
  const auto& [connection, monitor, on, named, may_adopt] = search;
  auto node = driver::qemu::find_disk_node(view.graph, named);
  if (!node.ok()) {
    return no_such_disk(on.disk, node.error());
  }
  FoundJob found;
  found.target = on.disk.target;
  found.job = connection->engine().registry().find_in_guest(monitor->path(),
                                                            view.graph.nodes()[*node].name);
  if (found.job != nullptr) {
    if (const auto own = connection->jobs().find(on.domain.uuid, on.disk.target)) {
      found.live_id = own->id;
    }
    return found;
  }
  const qmp::BlockJob* const job = job_on(view, *node);
  if (job == nullptr) {
    return found;
  }
  const auto plan = driver::qemu::plan_of_job(view, *job);
  if (plan && may_adopt) {
    found.job =
        adopt(connection, monitor, {on.domain, disk_of(on.domain, *plan)}, *plan, job->speed);
  }
  if (found.job == nullptr) {
    found.untracked = *job;
  }
  return found;
}

}  // namespace

void find_in_guest(const std::shared_ptr<Connection>& connection, const GuestDisk& on,
                   const FindCall& call, Answer<FoundJob> done) {
  const auto monitor = begin_waiting(*connection, on.domain, call.function, done);
  if (monitor == nullptr) {
    return;
  }
  const Search search{connection, monitor, on, name_for_qemu(on.disk), call.adopt};
  driver::qemu::view_guest(
      connection->shared_engine(), monitor,
      [search, done = std::move(done)](const blockpull::Result<driver::qemu::GuestView>& view) {
        done(view.ok() ? find_in_view(search, *view) : reported(view.error()));
      });
}

}  // namespace blockpull::virt
