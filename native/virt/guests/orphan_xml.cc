// SPDX-License-Identifier: Apache-2.0

#include "virt/guests/orphan_xml.h"

#include <algorithm>
#include <utility>

#include "driver/qemu/flush.h"
#include "driver/qemu/stream_plan.h"
#include "virt/guests/guest_disk.h"
#include "virt/session/job_reports.h"

namespace blockpull::virt {
namespace {

/// A disk whose XML may still state layers that a pull has removed.
struct StaleDisk {
  std::string node;
  std::string target;
  std::string source;
  std::optional<driver::KeptLayer> backing;

  [[nodiscard]] DiskBacking change() const { return {target, source, backing, true}; }
};

bool has_job(const driver::qemu::GuestView& view, std::size_t node) {
  return std::any_of(view.jobs.begin(), view.jobs.end(), [&](const qmp::BlockJob& job) {
    return view.graph.is_job_on(job.id, node) || view.graph.is_job_over(job.id, node);
  });
}

/// Absent for a disk with a job: the end of that job updates the XML.
std::optional<StaleDisk> at_rest(const driver::qemu::GuestView& view, const Disk& disk) {
  const auto node = driver::qemu::find_disk_node(view.graph, name_for_qemu(disk));
  if (!node.ok() || has_job(view, *node) || !driver::qemu::is_open_as_stated(view.graph, *node)) {
    return std::nullopt;
  }
  const auto& nodes = view.graph.nodes();
  StaleDisk stale{nodes[*node].name, disk.target, disk.source, std::nullopt};
  if (const auto backing = nodes[*node].backing) {
    stale.backing = driver::KeptLayer{nodes[*backing].filename, nodes[*backing].driver};
  }
  return stale;
}

/// The disks of the domain whose XML states more layers than they have.
std::vector<StaleDisk> find_stale(DomainStore& store, const Domain& domain,
                                  const driver::qemu::GuestView& view) {
  std::vector<StaleDisk> found;
  const auto xml = store.xml_of(domain);
  if (!xml.ok()) {
    return found;
  }
  for (const Disk& disk : domain.disks) {
    if (auto stale = at_rest(view, disk)) {
      const auto rewritten = rewrite_backing_store(*xml, stale->change());
      if (rewritten.ok() && rewritten->has_value()) {
        found.push_back(*std::move(stale));
      }
    }
  }
  return found;
}

class XmlUpdate : public std::enable_shared_from_this<XmlUpdate> {
 public:
  XmlUpdate(const std::shared_ptr<Connection>& connection, std::shared_ptr<qmp::Monitor> monitor,
            Domain domain, Answer<void> done)
      : connection_(connection),
        store_(connection->store()),
        monitor_(std::move(monitor)),
        domain_(std::move(domain)),
        done_(std::move(done)) {}

  void begin(const driver::qemu::GuestView& view) {
    run_blocking([this, view] { stale_ = find_stale(*store_, domain_, view); }, [this] { next(); });
  }

 private:
  /// Handles one disk after another.
  void next() {
    if (stale_.empty()) {
      done_({});
      return;
    }
    driver::qemu::flush_node(
        monitor_, stale_.back().node, driver::qemu::FlushTime::kAfterJobEnded,
        [self = shared_from_this()](blockpull::Result<driver::qemu::Flushed> flushed) {
          if (flushed.ok()) {
            self->rewrite();
          } else {
            self->give_up(std::move(flushed).error());
          }
        });
  }

  void rewrite() {
    run_blocking(
        [this] { rewritten_ = store_->backing_changed(domain_.name, stale_.back().change()); },
        [this] {
          if (rewritten_.ok()) {
            stale_.pop_back();
            next();
          } else {
            const Error& why = rewritten_.error();
            done_(reported(make_error(why.kind, xml_not_updated(domain_.name, why))));
          }
        });
  }

  void give_up(Error why) {
    const bool is_gone = why.kind == ErrorKind::kMonitorLost || why.kind == ErrorKind::kClosed;
    done_(is_gone ? Result<void>() : reported(std::move(why)));
  }

  /// Runs `work` on a thread that may block, then `done` on the engine's thread. If the connection
  /// is gone, runs neither.
  void run_blocking(std::function<void()> work, std::function<void()> done) {
    const auto connection = connection_.lock();
    if (connection == nullptr) {
      done_({});
      return;
    }
    const auto self = shared_from_this();
    connection->engine().post(
        [engine = &connection->engine(), work = [self, work = std::move(work)] { work(); },
         done = [self, done = std::move(done)] { done(); }] { engine->run_blocking(work, done); });
  }

  const std::weak_ptr<Connection> connection_;
  const std::shared_ptr<DomainStore> store_;
  const std::shared_ptr<qmp::Monitor> monitor_;
  const Domain domain_;
  const Answer<void> done_;
  std::vector<StaleDisk> stale_;
  blockpull::Result<void> rewritten_;
};

}  // namespace

void update_orphaned_xml(const std::shared_ptr<Connection>& connection, const Domain& domain,
                         const driver::qemu::GuestView& view, Answer<void> done) {
  auto monitor = connection->monitor_of(domain);
  if (!monitor.ok()) {
    done(std::move(monitor).error());
    return;
  }
  std::make_shared<XmlUpdate>(connection, std::move(monitor).value(), domain, std::move(done))
      ->begin(view);
}

}  // namespace blockpull::virt
