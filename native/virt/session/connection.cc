// SPDX-License-Identifier: Apache-2.0
//
// Opening and closing, and the calls on domains. If a monitor's socket cannot be asked, the call
// fails: a guest that may be running is never taken to be shut off.

#include "virt/session/connection.h"

#include <utility>

#include "core/base/text.h"
#include "core/io/posix_file.h"
#include "core/qmp/monitor_socket.h"
#include "core/qmp/shared_monitor.h"
#include "virt/domains/uri.h"
#include "virt/domains/uuid.h"
#include "virt/session/checks.h"

namespace blockpull::virt {
namespace {

/// libvirt's URI for a driver inside the process. Described domains have no folder for it to name.
constexpr const char* kDescribedUri = "qemu:///embed";

}  // namespace

Connection::Connection(std::shared_ptr<job::Engine> engine, ConnectOptions options, EventSink sink)
    : engine_(std::move(engine)),
      options_(std::move(options)),
      sink_(std::move(sink)),
      jobs_(std::make_shared<LiveJobs>()),
      open_calls_(std::make_shared<OpenCalls>()),
      uri_(options_.uri.value_or(kDescribedUri)) {}

Result<std::shared_ptr<Connection>> Connection::open(std::shared_ptr<job::Engine> engine,
                                                     ConnectOptions options, EventSink sink) {
  auto connection = std::shared_ptr<Connection>(
      new Connection(std::move(engine), std::move(options), std::move(sink)));
  const ConnectOptions& asked = connection->options_;
  if (asked.uri) {
    BLOCKPULL_TRY(root, parse_uri(*asked.uri));
    BLOCKPULL_TRY(store, open_folder(root));
    connection->store_ = std::move(store);
  } else {
    BLOCKPULL_TRY(store, describe_domains(asked.domains));
    connection->store_ = std::move(store);
  }
  return connection;
}

Result<void> Connection::check_open(std::string_view function) const {
  return closed_ ? Result<void>(connection_closed(function)) : Result<void>();
}

Result<Domain> Connection::domain_of(const std::string& uuid) {
  const auto canonical = parse_uuid(uuid);
  return canonical ? store_->find_uuid(*canonical) : no_domain_with(uuid);
}

bool Connection::is_connected_to(const std::string& monitor_path) {
  const std::lock_guard lock(mutex_);
  const auto known = monitors_.find(monitor_path);
  return known != monitors_.end() && known->second != nullptr && known->second->is_up();
}

Result<DomainState> Connection::state_of(const Domain& domain) {
  const std::string path = store_->monitor_path(domain.name);
  if (is_connected_to(path)) {
    return DomainState::kRunning;
  }
  BLOCKPULL_TRY(connecting, lifted(qmp::connect_monitor(path), &reported));
  return connecting.reached == net::Reached::kNobody ? DomainState::kShutoff
                                                     : DomainState::kRunning;
}

std::vector<Domain> Connection::domains_with_monitors() {
  auto listed = store_->list_all();
  std::vector<Domain> domains;
  if (!listed.ok()) {
    return domains;
  }
  for (ListedDomain& each : *listed) {
    const std::string path = store_->monitor_path(each.domain.name);
    if (!each.error && !path.empty() && io::identify(path).ok()) {
      domains.push_back(std::move(each.domain));
    }
  }
  return domains;
}

Result<std::shared_ptr<qmp::Monitor>> Connection::monitor_of(const Domain& domain) {
  const std::string path = store_->monitor_path(domain.name);
  const std::lock_guard lock(mutex_);
  if (reactor_ == nullptr) {
    BLOCKPULL_TRY(reactor, lifted(net::Reactor::shared(), &reported));
    reactor_ = std::move(reactor);
  }
  auto& monitor = monitors_[path];
  if (monitor == nullptr) {
    monitor = qmp::shared_monitor(reactor_, path, options_.deadlines);
  }
  return monitor;
}

void Connection::keep_adopted(const std::string& uuid, std::vector<LiveJob> jobs) {
  const std::lock_guard lock(mutex_);
  if (!closed_ && !jobs.empty()) {
    adopted_[uuid] = std::move(jobs);
  }
}

std::vector<LiveJob> Connection::take_adopted(const std::string& uuid) {
  const std::lock_guard lock(mutex_);
  const auto kept = adopted_.extract(uuid);
  return kept.empty() ? std::vector<LiveJob>() : kept.mapped();
}

Result<FoundDomain> Connection::with_state(Result<Domain> domain) {
  BLOCKPULL_TRY(found, std::move(domain));
  BLOCKPULL_TRY(state, state_of(found));
  return FoundDomain{std::move(found), state};
}

Result<std::vector<FoundDomain>> Connection::list_domains() {
  BLOCKPULL_TRY(domains, store_->list_all());
  std::vector<FoundDomain> listed;
  for (ListedDomain& each : domains) {
    FoundDomain with{std::move(each.domain), DomainState::kNoState, std::move(each.error)};
    if (!with.error) {
      if (auto state = state_of(with.domain); state.ok()) {
        with.state = *state;
      } else {
        with.error = std::move(state).error();
      }
    }
    listed.push_back(std::move(with));
  }
  return listed;
}

Result<FoundDomain> Connection::lookup_name(const std::string& name) {
  return with_state(store_->find_name(name));
}

Result<FoundDomain> Connection::lookup_uuid(const std::string& uuid) {
  return with_state(store_->find_uuid(uuid));
}

Result<FoundDomain> Connection::define_xml(const std::string& xml) {
  return with_state(store_->define(xml));
}

Result<std::string> Connection::domain_xml(const std::string& uuid) {
  BLOCKPULL_TRY(domain, domain_of(uuid));
  return store_->xml_of(domain);
}

void Connection::leave(job::Stop how) {
  closed_ = true;
  jobs_->close(how);
  open_calls_->close();
  // Others who wait for a monitor can have it now.
  const std::lock_guard lock(mutex_);
  monitors_.clear();
  adopted_.clear();
}

void Connection::close() {
  leave(job::Stop::kLeave);
}

void Connection::abandon() {
  leave(job::Stop::kAbandon);
}

}  // namespace blockpull::virt
