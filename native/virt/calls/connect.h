// SPDX-License-Identifier: Apache-2.0
//
// libvirt's virConnect: a driver, and the state that libvirt's public layer keeps for it, which is
// the ids of domains and the event registrations. The calls on it are in domain_calls.h and
// block_job_calls.h. Bindings convert arguments and answers, and decide nothing.
//
// Thread rule: any thread.

#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "virt/calls/domain_ids.h"
#include "virt/calls/event_book.h"
#include "virt/hosts/hypervisor_driver.h"
#include "virt/session/connection.h"

namespace blockpull::virt {

/// Environment variables with the URI for a connection that is opened without one. The first that
/// is set wins.
inline constexpr std::array<const char*, 2> kUriVariables{"BLOCKPULL_URI", "LIBVIRT_DEFAULT_URI"};

/// The state that libvirt's public layer keeps for a connection.
struct ConnectState {
  EventBook events;
  DomainIds ids;
};

class Connect {
 public:
  Connect(std::shared_ptr<HypervisorDriver> driver, std::shared_ptr<ConnectState> state)
      : driver_(std::move(driver)), state_(std::move(state)) {}

  [[nodiscard]] HypervisorDriver& driver() const { return *driver_; }
  [[nodiscard]] EventBook& events() const { return state_->events; }
  [[nodiscard]] DomainIds& ids() const { return state_->ids; }

  /// kClosed after close, otherwise 29 on a read-only connection.
  [[nodiscard]] Result<void> check_may_change(std::string_view function) const;

 private:
  const std::shared_ptr<HypervisorDriver> driver_;
  const std::shared_ptr<ConnectState> state_;
};

/// Receives each change of a job, and the state of the connection that owns the job.
using OnEvent = std::function<void(const BlockJobEvent&, const std::shared_ptr<ConnectState>&)>;

/// virConnectOpen. An empty `options.uri` means the first non-empty one of `default_uris`, which
/// are the values of kUriVariables; code 5 if all are empty. Blocks for file operations. `on_event`
/// is called on the engine's thread and must not block.
[[nodiscard]] Result<std::shared_ptr<Connect>> open_connect(
    std::shared_ptr<job::Engine> engine, ConnectOptions options,
    const std::vector<std::string>& default_uris, OnEvent on_event);

}  // namespace blockpull::virt
