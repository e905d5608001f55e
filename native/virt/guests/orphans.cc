// SPDX-License-Identifier: Apache-2.0

#include "virt/guests/orphans.h"

#include <algorithm>
#include <utility>

#include "driver/qemu/guest_pull.h"
#include "driver/qemu/orphaned_job.h"
#include "driver/qemu/own_nodes.h"
#include "virt/guests/orphan_xml.h"
#include "virt/guests/tracked_job.h"
#include "virt/session/waiting_call.h"

namespace blockpull::virt {
namespace {

void add_once(std::vector<LiveJob>& jobs, LiveJob added) {
  const bool is_known = std::any_of(jobs.begin(), jobs.end(),
                                    [&added](const LiveJob& job) { return job.job == added.job; });
  if (!is_known) {
    jobs.push_back(std::move(added));
  }
}

/// A job that has ended leaves QEMU's list before its end is reported here.
void add_those_about_to_end(Connection& connection, const Domain& domain,
                            std::vector<LiveJob>& adopted) {
  for (LiveJob& live : connection.jobs().in_guest(domain.uuid)) {
    add_once(adopted, std::move(live));
  }
}

}  // namespace

std::shared_ptr<job::Job> adopt(const std::shared_ptr<Connection>& connection,
                                const std::shared_ptr<qmp::Monitor>& monitor, const GuestDisk& on,
                                const driver::qemu::StreamPlan& plan, std::uint64_t bandwidth) {
  auto prepared = driver::qemu::prepare_adoption(connection->engine(), monitor, plan);
  if (!prepared.ok()) {
    return connection->engine().registry().find_in_guest(monitor->path(), plan.node);
  }
  return track(connection, on, std::move(prepared).value(), bandwidth, Asked{});
}

void adopt_in_guest(const std::shared_ptr<Connection>& connection, const Domain& domain,
                    Answer<Adopted> done) {
  const auto monitor = begin_waiting(*connection, domain, "reap", done);
  if (monitor == nullptr) {
    return;
  }
  driver::qemu::view_guest(
      connection->shared_engine(), monitor,
      [connection, monitor, domain,
       done = std::move(done)](const blockpull::Result<driver::qemu::GuestView>& view) {
        if (!view.ok()) {
          done(reported(view.error()));
          return;
        }
        if (auto may = driver::qemu::check_may_write(view->state); !may.ok()) {
          // No request to QEMU would be safe now; what it has can wait.
          done(reported(std::move(may).error()));
          return;
        }
        driver::qemu::remove_orphaned_nodes(monitor, view->graph.node_names());
        std::vector<LiveJob> adopted = connection->take_adopted(domain.uuid);
        for (const qmp::BlockJob& job : view->jobs) {
          if (const auto plan = driver::qemu::plan_of_job(*view, job)) {
            const GuestDisk on{domain, disk_of(domain, *plan)};
            if (auto followed = adopt(connection, monitor, on, *plan, job.speed)) {
              add_once(adopted, {.disk = ref_to(on), .job = std::move(followed)});
            }
          }
        }
        add_those_about_to_end(*connection, domain, adopted);
        done(Adopted{std::move(adopted), *view});
      });
}

Result<std::shared_ptr<Connection>> open_connection(std::shared_ptr<job::Engine> engine,
                                                    ConnectOptions options, EventSink sink) {
  BLOCKPULL_TRY(connection,
                Connection::open(std::move(engine), std::move(options), std::move(sink)));
  if (!connection->is_read_only()) {
    for (const Domain& domain : connection->domains_with_monitors()) {
      adopt_in_guest(connection, domain,
                     [weak = std::weak_ptr(connection), domain](Result<Adopted> adopted) {
                       const auto self = weak.lock();
                       if (self != nullptr && adopted.ok()) {
                         self->keep_adopted(domain.uuid, std::move(adopted->jobs));
                         update_orphaned_xml(self, domain, adopted->view,
                                             [](const Result<void>& /*followed*/) {});
                       }
                     });
    }
  }
  return connection;
}

}  // namespace blockpull::virt
