// SPDX-License-Identifier: Apache-2.0
//
// A connection: where its domains come from, what it may do, and the jobs that it has started.
//
//     open ─▶ calls, from any number of threads ─▶ close ─▶ jobs().when_idle
//                                                  refuses calls, stops jobs
//
// The calls on disks are in hosts/embed and use the public part of this class. No lock is held over
// a file operation: the store and the table of jobs have their own locks, around their maps.
//
// Thread rule: any thread. Calls block for file operations, so an event loop calls them on another
// thread. close() and abandon() only request the end.

#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/net/reactor.h"
#include "core/qmp/monitor.h"
#include "virt/domains/domain_store.h"
#include "virt/session/events.h"
#include "virt/session/live_jobs.h"
#include "virt/session/open_calls.h"

namespace blockpull::virt {

struct ConnectOptions {
  /// Absent: the domains are described below.
  std::optional<std::string> uri;
  std::vector<DomainDescription> domains;
  bool read_only = false;
  /// Folders that backing files must be in; absent: any local file.
  std::optional<std::vector<std::string>> backing_paths;
  /// How long a monitor may take to answer.
  qmp::Deadlines deadlines;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// The connection holds the engine.
  [[nodiscard]] static Result<std::shared_ptr<Connection>> open(std::shared_ptr<job::Engine> engine,
                                                                ConnectOptions options,
                                                                EventSink sink);

  [[nodiscard]] const std::string& uri() const { return uri_; }

  /// A domain that cannot be read or asked is in the list, with its error.
  [[nodiscard]] Result<std::vector<FoundDomain>> list_domains();
  [[nodiscard]] Result<FoundDomain> lookup_name(const std::string& name);
  /// `uuid` in canonical form.
  [[nodiscard]] Result<FoundDomain> lookup_uuid(const std::string& uuid);
  [[nodiscard]] Result<FoundDomain> define_xml(const std::string& xml);
  [[nodiscard]] Result<std::string> domain_xml(const std::string& uuid);

  /// Refuses every later call, asks our engine's jobs to end at a consistent point, and releases
  /// the jobs that QEMU runs. May be called again.
  void close();
  /// For the end of the process: like close(), but no further clusters are linked.
  void abandon();

  /// kClosed after close(); `function` is the public name of the call.
  [[nodiscard]] Result<void> check_open(std::string_view function) const;

  /// The domain with that UUID; hyphens and letter case do not matter.
  [[nodiscard]] Result<Domain> domain_of(const std::string& uuid);
  [[nodiscard]] Result<DomainState> state_of(const Domain& domain);

  /// The domains that have a monitor, whether it answers or not. Domains that cannot be read are
  /// left out.
  [[nodiscard]] std::vector<Domain> domains_with_monitors();

  /// The monitor of a domain, whether anybody listens on its socket or not.
  [[nodiscard]] Result<std::shared_ptr<qmp::Monitor>> monitor_of(const Domain& domain);

  /// Keeps the jobs that were adopted without a request, until a caller takes them.
  void keep_adopted(const std::string& uuid, std::vector<LiveJob> jobs);
  [[nodiscard]] std::vector<LiveJob> take_adopted(const std::string& uuid);

  [[nodiscard]] bool is_read_only() const { return options_.read_only; }

  [[nodiscard]] const ConnectOptions& options() const { return options_; }

  [[nodiscard]] job::Engine& engine() const { return *engine_; }
  [[nodiscard]] const std::shared_ptr<job::Engine>& shared_engine() const { return engine_; }

  [[nodiscard]] LiveJobs& jobs() const { return *jobs_; }

  /// The calls that wait for a QEMU.
  [[nodiscard]] OpenCalls& open_calls() const { return *open_calls_; }

  [[nodiscard]] const std::shared_ptr<DomainStore>& store() const { return store_; }

  [[nodiscard]] const EventSink& sink() const { return sink_; }

 private:
  Connection(std::shared_ptr<job::Engine> engine, ConnectOptions options, EventSink sink);
  [[nodiscard]] Result<FoundDomain> with_state(Result<Domain> domain);
  void leave(job::Stop how);
  [[nodiscard]] bool is_connected_to(const std::string& monitor_path);

  const std::shared_ptr<job::Engine> engine_;
  const ConnectOptions options_;
  const EventSink sink_;
  const std::shared_ptr<LiveJobs> jobs_;
  const std::shared_ptr<OpenCalls> open_calls_;
  std::shared_ptr<DomainStore> store_;
  std::string uri_;
  std::atomic<bool> closed_{false};

  /// Guards everything below: the thread that serves the monitors, the monitors in use by path, and
  /// the adopted jobs by UUID.
  std::mutex mutex_;
  std::shared_ptr<net::Reactor> reactor_;
  std::map<std::string, std::shared_ptr<qmp::Monitor>> monitors_;
  std::map<std::string, std::vector<LiveJob>> adopted_;
};

}  // namespace blockpull::virt
