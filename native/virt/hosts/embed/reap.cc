// SPDX-License-Identifier: Apache-2.0

#include "virt/hosts/embed/reap.h"

#include <atomic>
#include <utility>

#include "driver/qemu/flush.h"
#include "driver/qemu/guest_view.h"
#include "virt/guests/orphan_xml.h"
#include "virt/guests/orphans.h"
#include "virt/session/checks.h"
#include "virt/session/waiting_call.h"

namespace blockpull::virt::embed {
namespace {

constexpr const char* kReap = "reap";

/// Answers on the engine's thread when the last job has ended.
void answer_when_ended(Connection& connection, std::vector<LiveJob> jobs,
                       Answer<std::vector<ReapedJob>> done) {
  struct Waiting {
    std::vector<LiveJob> jobs;
    Answer<std::vector<ReapedJob>> done;
    std::atomic<std::size_t> left{0};
  };
  if (jobs.empty()) {
    done(std::vector<ReapedJob>());
    return;
  }
  const auto waiting = std::make_shared<Waiting>();
  waiting->left = jobs.size();
  waiting->jobs = std::move(jobs);
  waiting->done = std::move(done);
  for (const LiveJob& adopted : waiting->jobs) {
    if (!connection.jobs().is_asked_for(*adopted.job)) {
      adopted.job->fail_rather_than_stop();
    }
    adopted.job->when_ended([waiting] {
      if (--waiting->left > 0) {
        return;
      }
      std::vector<ReapedJob> reaped;
      for (const LiveJob& ended : waiting->jobs) {
        reaped.push_back(
            {ended.disk.target, ended.disk.source, ended.job->outcome().value_or(job::Outcome{})});
      }
      waiting->done(std::move(reaped));
    });
  }
}

/// Flushes one disk after another, up to the first failure. Another process may take the filter
/// node of our flush for an orphan and remove it; that disk is then flushed again.
class DiskFlushes : public std::enable_shared_from_this<DiskFlushes> {
 public:
  DiskFlushes(std::shared_ptr<qmp::Monitor> monitor, std::vector<std::string> nodes,
              Answer<void> done)
      : monitor_(std::move(monitor)), nodes_(std::move(nodes)), done_(std::move(done)) {}

  void next() {
    if (nodes_.empty()) {
      done_({});
      return;
    }
    driver::qemu::flush_node(
        monitor_, nodes_.back(), driver::qemu::FlushTime::kAfterJobEnded,
        [self = shared_from_this()](blockpull::Result<driver::qemu::Flushed> flushed) {
          if (flushed.ok()) {
            self->nodes_.pop_back();
            self->next();
          } else if (flushed.error().kind == ErrorKind::kMonitorLost && self->tries_left_-- > 0) {
            self->next();
          } else {
            self->done_(reported(std::move(flushed).error()));
          }
        });
  }

 private:
  const std::shared_ptr<qmp::Monitor> monitor_;
  std::vector<std::string> nodes_;
  const Answer<void> done_;
  /// No process removes our filters more than a few times in a row.
  int tries_left_ = 3;
};

/// Makes durable what the domain's QEMU has written to its disks, since a job that nobody tracked
/// may have ended without a flush. kIo if a flush failed. Does nothing if QEMU is gone.
void flush_disks(const std::shared_ptr<Connection>& connection, const Domain& domain,
                 Answer<void> done) {
  const auto monitor = begin_waiting(*connection, domain, kReap, done);
  if (monitor == nullptr) {
    return;
  }
  driver::qemu::view_guest(
      connection->shared_engine(), monitor,
      [connection, domain, monitor,
       done = std::move(done)](const blockpull::Result<driver::qemu::GuestView>& view) {
        if (!view.ok()) {
          const bool is_gone = view.error().kind == ErrorKind::kMonitorLost;
          done(is_gone ? Result<void>() : reported(view.error()));
          return;
        }
        if (auto may = driver::qemu::check_may_write(view->state); !may.ok()) {
          done(reported(std::move(may).error()));
          return;
        }
        std::vector<std::string> nodes;
        const auto& graph = view->graph;
        for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
          if (const std::string& name = graph.nodes()[i].name; graph.is_disk(i) && !name.empty()) {
            nodes.push_back(name);
          }
        }
        const auto follow = [connection, domain, view = *view, done](Result<void> flushed) {
          if (flushed.ok()) {
            update_orphaned_xml(connection, domain, view, done);
          } else {
            done(std::move(flushed));
          }
        };
        std::make_shared<DiskFlushes>(monitor, std::move(nodes), follow)->next();
      });
}

}  // namespace

void reap_jobs(const std::shared_ptr<Connection>& connection, const std::string& uuid,
               Answer<std::vector<ReapedJob>> done) {
  const auto find = [&]() -> Result<std::optional<Domain>> {
    BLOCKPULL_TRY(domain, connection->domain_of(uuid));
    BLOCKPULL_TRY(state, connection->state_of(domain));
    return state == DomainState::kRunning ? std::optional(std::move(domain)) : std::nullopt;
  };
  auto domain = find();
  if (!domain.ok()) {
    done(std::move(domain).error());
  } else if (!domain->has_value()) {
    done(std::vector<ReapedJob>());
  } else {
    const auto flush = [connection, on = **domain, done](Result<std::vector<ReapedJob>> reaped) {
      flush_disks(connection, on, [done, reaped](Result<void> flushed) {
        // A connection that was closed since has released its jobs, and their outcomes say so.
        const bool is_told = flushed.ok() || flushed.error().error.kind == ErrorKind::kClosed;
        done(is_told ? reaped : std::move(flushed).error());
      });
    };
    adopt_in_guest(connection, **domain, [connection, done, flush](Result<Adopted> adopted) {
      if (adopted.ok()) {
        answer_when_ended(*connection, std::move(adopted->jobs), flush);
      } else {
        done(std::move(adopted).error());
      }
    });
  }
}

}  // namespace blockpull::virt::embed
