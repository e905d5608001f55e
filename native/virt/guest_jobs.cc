// SPDX-License-Identifier: Apache-2.0
//
// A pull in QEMU becomes a job of the connection only once QEMU has begun it: a QEMU that does not
// answer keeps neither the connection's end nor the process's waiting.

#include "virt/guest_jobs.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "core/base/text.h"
#include "driver/qemu/flush.h"
#include "driver/qemu/guest_view.h"
#include "driver/qemu/job_id.h"
#include "virt/base_name.h"
#include "virt/checks.h"
#include "virt/job_reports.h"

namespace blockpull::virt {
namespace {

using Prepared = std::unique_ptr<driver::PreparedGuestPull>;

driver::GuestDisk disk_for_qemu(const Disk& disk) {
  std::error_code unknown;
  std::string canonical;
  if (!disk.source.empty()) {
    canonical = std::filesystem::canonical(disk.source, unknown).string();
  }
  return {disk.source, std::move(canonical), disk.target};
}

/// QEMU's own words stay, behind libvirt's. They have an operation: the class of QEMU's error.
Failure refused(Error error, const GuestPullCall& call) {
  const Disk& disk = call.on.disk;
  const auto behind = [&error](Failure failure) {
    if (!error.operation.empty()) {
      failure.error.message += text(" (", error.message, ")");
    }
    return failure;
  };
  switch (error.kind) {
    case ErrorKind::kJobActive:
      return behind(job_active_on(disk.target));
    case ErrorKind::kNoDisk:
      return report(error.kind,
                    text("disk '", disk.target, "' not found in domain: ", error.message));
    case ErrorKind::kNoBase:
      if (call.options.base && !disk.source.empty()) {
        return behind(no_such_base(*call.options.base, disk));
      }
      return reported(std::move(error));
    case ErrorKind::kReadOnly:
      return report(error.kind, ErrorCode::kInternalError, ErrorDomain::kQemu, error.message);
    case ErrorKind::kUnsupported:
      if (call.options.require_relative && error.path.empty()) {
        return report(error.kind, ErrorCode::kOperationInvalid, ErrorDomain::kQemu,
                      "can't keep relative backing relationship");
      }
      return reported(std::move(error));
    default:
      return reported(std::move(error));
  }
}

/// Whether somebody has asked for a job, or an earlier process had left it; and who hears its end.
struct Asked {
  bool is_asked_for = false;
  std::function<void(const job::Outcome&)> on_end;
};

/// Makes a job of the connection of what QEMU runs. nullptr when the connection has been closed.
std::shared_ptr<job::Job> start(Connection& connection, const GuestDisk& on, Prepared prepared,
                                std::uint64_t bandwidth, Asked asked) {
  JobLabel label{on.domain.uuid, on.disk.target, on.disk.source, true, !asked.is_asked_for};
  auto place = connection.jobs().reserve(std::move(label));
  if (!place) {
    return nullptr;
  }
  const JobSubject subject{on.domain.name, on.domain.uuid, on.disk.target, on.disk.source};
  job::JobOptions options;
  options.bandwidth = bandwidth;
  options.before_end = [store = connection.store(), subject,
                        end = prepared->end()](job::Outcome& outcome) {
    follow_in_xml(*store, subject, outcome, [&end]() -> blockpull::Result<NewBacking> {
      return end->base ? NewBacking(BackingLayer{end->base->path, end->base->format})
                       : NewBacking();
    });
  };
  options.on_end = tell_end(connection.sink(), subject, std::move(asked.on_end));
  return connection.jobs().start(*std::move(place), connection.engine(), std::move(prepared),
                                 std::move(options));
}

/// The disk of `domain` that a job in its QEMU works on; one that the XML does not have is called
/// as QEMU calls it.
Disk disk_of(const Domain& domain, const driver::StreamPlan& plan) {
  for (const Disk& disk : domain.disks) {
    if (disk.source == plan.path) {
      return disk;
    }
  }
  Disk unknown;
  unknown.target = plan.disk_name;
  unknown.source = plan.path;
  return unknown;
}

/// The job of `view` on that disk: ours by its id, or one that works on its active layer. Layers
/// below may be another disk's as well. A QEMU that does not tell what its jobs work on has named
/// it after the disk's device.
const qmp::BlockJob* job_on(const driver::GuestView& view, std::size_t node,
                            const std::string& our_id) {
  for (const qmp::BlockJob& job : view.jobs) {
    if (job.id == our_id || view.graph.is_job_on(job.id, node) ||
        job.id == view.graph.disk_name(node)) {
      return &job;
    }
  }
  return nullptr;
}

/// Follows a job that was left, unless somebody in this process does. nullptr when the connection
/// has been closed.
std::shared_ptr<job::Job> adopt(Connection& connection,
                                const std::shared_ptr<qmp::Monitor>& monitor, const GuestDisk& on,
                                const driver::StreamPlan& plan, std::uint64_t bandwidth) {
  auto prepared = driver::prepare_adoption(connection.engine(), monitor, plan);
  if (!prepared.ok()) {
    return connection.engine().registry().find_in_guest(monitor->path(), plan.job_id);
  }
  return start(connection, on, std::move(prepared).value(), bandwidth, Asked{});
}

void add_once(std::vector<AdoptedJob>& jobs, AdoptedJob added) {
  const bool is_known = std::any_of(
      jobs.begin(), jobs.end(), [&added](const AdoptedJob& job) { return job.job == added.job; });
  if (!is_known) {
    jobs.push_back(std::move(added));
  }
}

/// What a guest's devices stand on; the images that nothing stands on where there are no devices.
std::vector<Disk> disks_in(const driver::BlockGraph& graph) {
  std::vector<Disk> disks;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const driver::BlockNode& node = graph.nodes()[i];
    if (!node.is_backing && !driver::is_protocol(node.driver)) {
      Disk disk;
      disk.target = graph.disk_name(i);
      disk.source = node.filename;
      disk.format = node.driver;
      disks.push_back(std::move(disk));
    }
  }
  return disks;
}

/// A job that has ended is gone from QEMU's list before its end is told here.
void add_those_about_to_end(Connection& connection, const Domain& domain,
                            std::vector<AdoptedJob>& adopted) {
  for (auto& [label, job] : connection.jobs().in_guest(domain.uuid)) {
    Disk disk;
    disk.target = label.target;
    disk.source = label.source;
    add_once(adopted, {std::move(job), std::move(disk)});
  }
}

/// A search that waits for what QEMU has.
struct Search {
  std::shared_ptr<Connection> connection;
  std::shared_ptr<qmp::Monitor> monitor;
  GuestDisk on;
  driver::GuestDisk named;
  bool may_adopt = false;
};

Result<GuestJob> find_in_view(const Search& search, const driver::GuestView& view) {
  const auto& [connection, monitor, on, named, may_adopt] = search;
  auto node = driver::find_disk_node(view.graph, named);
  if (!node.ok()) {
    return report(ErrorKind::kNoDisk,
                  text("disk '", on.disk.target, "' not found in domain: ", node.error().message));
  }
  const std::string name = on.disk.source.empty() ? view.graph.disk_name(*node) : on.disk.target;
  const std::string our_id = driver::job_id_for(name, view.graph.nodes()[*node].name);
  GuestJob found;
  found.job = connection->engine().registry().find_in_guest(monitor->path(), our_id);
  if (found.job != nullptr) {
    if (const auto own = connection->jobs().find(on.domain.uuid, on.disk.target)) {
      found.live_id = own->id;
    }
    return found;
  }
  const qmp::BlockJob* const job = job_on(view, *node, our_id);
  if (job == nullptr) {
    return found;
  }
  const auto plan = driver::plan_of_job(view, *job);
  found.is_ours = plan.has_value();
  if (plan && may_adopt) {
    found.job =
        adopt(*connection, monitor, {on.domain, disk_of(on.domain, *plan)}, *plan, job->speed);
  }
  if (found.job == nullptr) {
    found.unfollowed = *job;
  }
  return found;
}

/// One disk after another, up to the first whose flush fails. Another process may take a flush's
/// filter for one that was left; then the disk is flushed anew.
class DiskFlushes : public std::enable_shared_from_this<DiskFlushes> {
 public:
  DiskFlushes(std::shared_ptr<qmp::Monitor> monitor, std::vector<std::string> nodes,
              Answer<void> answer)
      : monitor_(std::move(monitor)), nodes_(std::move(nodes)), answer_(std::move(answer)) {}

  void next() {
    if (nodes_.empty()) {
      answer_({});
      return;
    }
    driver::flush_node(
        monitor_, nodes_.back(), driver::JobPhase::kHasEnded,
        [self = shared_from_this()](blockpull::Result<void> flushed) {
          if (flushed.ok()) {
            self->nodes_.pop_back();
            self->next();
          } else if (flushed.error().kind == ErrorKind::kMonitorLost && self->tries_left_-- > 0) {
            self->next();
          } else {
            self->answer_(reported(std::move(flushed).error()));
          }
        });
  }

 private:
  const std::shared_ptr<qmp::Monitor> monitor_;
  std::vector<std::string> nodes_;
  const Answer<void> answer_;
  /// Nobody removes filters more than a few times in a row.
  int tries_left_ = 3;
};

}  // namespace

namespace {

/// A left-over job that this connection follows may be joined; every other one is somebody's.
driver::FindFollower followers_in(const std::shared_ptr<Connection>& connection,
                                  const qmp::Monitor& monitor) {
  return [connection, path = monitor.path()](const std::string& job_id) {
    auto job = connection->engine().registry().find_in_guest(path, job_id);
    const bool is_left_over = job != nullptr && connection->jobs().is_left_over(*job);
    return driver::Follower{job != nullptr, is_left_over ? std::move(job) : nullptr};
  };
}

/// Who left the job may have had it stop on an error, and who pulls now may not know of that.
void fail_as_asked(job::Job& job, const GuestPullCall& call) {
  if (call.options.on_error == qmp::OnError::kReport) {
    job.fail_rather_than_stop();
  }
}

/// Gives a job that was left over to who asked for a pull. It may have ended by now.
Result<std::shared_ptr<job::Job>> join(Connection& connection, GuestPullCall& call,
                                       std::shared_ptr<job::Job> job) {
  if (!connection.jobs().claim_left_over(*job) && !job->outcome()) {
    return job_active_on(call.on.disk.target);
  }
  job->set_bandwidth(call.options.bytes_per_second);
  // Its follower may just have looked at it as it was before; told to resume it, it knows better.
  job->resume([](const blockpull::Result<void>& /*told*/) {});
  fail_as_asked(*job, call);
  job->when_ended([job, on_end = std::move(call.on_end)] {
    if (on_end) {
      on_end(job->outcome().value_or(job::Outcome{}));
    }
  });
  return job;
}

}  // namespace

void pull_in_guest(const std::shared_ptr<Connection>& connection, GuestPullCall call,
                   Answer<std::shared_ptr<job::Job>> answer) {
  auto monitor = connection->monitor_of(call.on.domain);
  if (!monitor.ok()) {
    answer(std::move(monitor).error());
    return;
  }
  answer = connection->open_calls().guard("virDomainBlockPull", std::move(answer));
  call.options.disk = disk_for_qemu(call.on.disk);
  const auto shared = std::make_shared<GuestPullCall>(std::move(call));
  driver::prepare_guest_pull(
      connection->engine(), *monitor, shared->options, followers_in(connection, **monitor),
      [connection, shared,
       answer = std::move(answer)](blockpull::Result<driver::GuestPullStart> started) {
        if (!started.ok()) {
          answer(refused(std::move(started).error(), *shared));
          return;
        }
        if (started->joined != nullptr) {
          answer(join(*connection, *shared, std::move(started->joined)));
          return;
        }
        if (shared->on.disk.source.empty()) {
          shared->on.disk.target = started->prepared->plan().disk_name;
          shared->on.disk.source = started->prepared->plan().path;
        }
        auto job = start(*connection, shared->on, std::move(started->prepared),
                         shared->options.bytes_per_second, Asked{true, std::move(shared->on_end)});
        if (job == nullptr) {
          answer(connection_closed("virDomainBlockPull"));
          return;
        }
        fail_as_asked(*job, *shared);
        answer(std::move(job));
      });
}

void plan_in_guest(const std::shared_ptr<Connection>& connection, GuestPullCall call,
                   Answer<driver::GuestPlan> answer) {
  auto monitor = connection->monitor_of(call.on.domain);
  if (!monitor.ok()) {
    answer(std::move(monitor).error());
    return;
  }
  answer = connection->open_calls().guard("virDomainBlockPull", std::move(answer));
  call.options.disk = disk_for_qemu(call.on.disk);
  driver::plan_guest_pull(
      *monitor, call.options, followers_in(connection, **monitor),
      [call, answer = std::move(answer)](blockpull::Result<driver::GuestPlan> plan) {
        if (plan.ok()) {
          answer(std::move(plan).value());
        } else {
          answer(refused(std::move(plan).error(), call));
        }
      });
}

void find_in_guest(const std::shared_ptr<Connection>& connection, const GuestDisk& on,
                   const FindCall& call, Answer<GuestJob> answer) {
  auto monitor = connection->monitor_of(on.domain);
  if (!monitor.ok()) {
    answer(std::move(monitor).error());
    return;
  }
  answer = connection->open_calls().guard(call.function, std::move(answer));
  const Search search{connection, *monitor, on, disk_for_qemu(on.disk), call.adopt};
  driver::view_guest(*monitor, [search, answer = std::move(answer)](
                                   const blockpull::Result<driver::GuestView>& view) {
    answer(view.ok() ? find_in_view(search, *view) : reported(view.error()));
  });
}

void list_disks(const std::shared_ptr<Connection>& connection, const std::string& uuid,
                Answer<std::vector<Disk>> answer) {
  const auto find_silent = [&]() -> Result<std::pair<Domain, std::shared_ptr<qmp::Monitor>>> {
    BLOCKPULL_CHECK(connection->check_open("listDisks"));
    BLOCKPULL_TRY(domain, connection->domain_of(uuid));
    BLOCKPULL_TRY(state, connection->state_of(domain));
    std::shared_ptr<qmp::Monitor> monitor;
    if (domain.disks.empty() && state == DomainState::kRunning) {
      BLOCKPULL_TRY(asked, connection->monitor_of(domain));
      monitor = std::move(asked);
    }
    return std::pair(std::move(domain), std::move(monitor));
  };
  auto found = find_silent();
  if (!found.ok()) {
    answer(std::move(found).error());
    return;
  }
  if (found->second == nullptr) {
    answer(std::move(found->first.disks));
    return;
  }
  answer = connection->open_calls().guard("listDisks", std::move(answer));
  driver::view_guest(found->second, [answer = std::move(answer)](
                                        const blockpull::Result<driver::GuestView>& view) {
    answer(view.ok() ? Result<std::vector<Disk>>(disks_in(view->graph)) : reported(view.error()));
  });
}

void adopt_in_guest(const std::shared_ptr<Connection>& connection, const Domain& domain,
                    Answer<std::vector<AdoptedJob>> answer) {
  auto monitor = connection->monitor_of(domain);
  if (!monitor.ok()) {
    answer(std::move(monitor).error());
    return;
  }
  answer = connection->open_calls().guard("reap", std::move(answer));
  driver::view_guest(*monitor, [connection, monitor = *monitor, domain, answer = std::move(answer)](
                                   const blockpull::Result<driver::GuestView>& view) {
    if (!view.ok()) {
      answer(reported(view.error()));
      return;
    }
    driver::remove_left_filters(monitor, view->graph);
    std::vector<AdoptedJob> adopted = connection->take_adopted(domain.uuid);
    for (const qmp::BlockJob& job : view->jobs) {
      if (const auto plan = driver::plan_of_job(*view, job)) {
        const GuestDisk on{domain, disk_of(domain, *plan)};
        if (auto followed = adopt(*connection, monitor, on, *plan, job.speed)) {
          add_once(adopted, {std::move(followed), on.disk});
        }
      }
    }
    add_those_about_to_end(*connection, domain, adopted);
    answer(std::move(adopted));
  });
}

void flush_disks_in_guest(const std::shared_ptr<Connection>& connection, const Domain& domain,
                          Answer<void> answer) {
  auto monitor = connection->monitor_of(domain);
  if (!monitor.ok()) {
    answer(std::move(monitor).error());
    return;
  }
  answer = connection->open_calls().guard("reap", std::move(answer));
  driver::view_guest(*monitor, [monitor = *monitor, answer = std::move(answer)](
                                   const blockpull::Result<driver::GuestView>& view) {
    if (!view.ok()) {
      const bool is_gone = view.error().kind == ErrorKind::kMonitorLost;
      answer(is_gone ? Result<void>() : reported(view.error()));
      return;
    }
    // Filters among them may belong to a job, or to a flush, and be gone in a moment.
    std::vector<std::string> nodes;
    for (std::size_t i = 0; i < view->graph.nodes().size(); ++i) {
      const std::string& name = view->graph.nodes()[i].name;
      if (view->graph.is_disk(i) && !name.empty()) {
        nodes.push_back(name);
      }
    }
    std::make_shared<DiskFlushes>(monitor, std::move(nodes), answer)->next();
  });
}

Result<std::shared_ptr<Connection>> open_connection(std::shared_ptr<job::Engine> engine,
                                                    ConnectOptions options, EventSink sink) {
  BLOCKPULL_TRY(connection,
                Connection::open(std::move(engine), std::move(options), std::move(sink)));
  if (!connection->is_read_only()) {
    for (const Domain& domain : connection->domains_with_monitors()) {
      adopt_in_guest(connection, domain,
                     [weak = std::weak_ptr(connection),
                      uuid = domain.uuid](Result<std::vector<AdoptedJob>> adopted) {
                       const auto self = weak.lock();
                       if (self != nullptr && adopted.ok()) {
                         self->keep_adopted(uuid, std::move(adopted).value());
                       }
                     });
    }
  }
  return connection;
}

}  // namespace blockpull::virt
