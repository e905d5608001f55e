// SPDX-License-Identifier: Apache-2.0
//
// What virConnectPtr and virDomainPtr point to. Both are counted, as in libvirt:
//
//     connection  ◀── one for each virConnectOpen and virConnectRef, each domain handle, each
//                     callback that is registered, and while its events are told
//     domain      ◀── one for each lookup and virDomainRef; its name, UUID and id are those of
//                     the lookup
//
// The last reference to a connection ends its jobs and waits for them. A number at the beginning
// tells a handle from another pointer and, with luck, from one that was freed.
//
// Thread rule: any thread but the engine's.

#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "virt/session/connection.h"

namespace blockpull::capi {

class EventCallbacks;

class ConnectionHandle {
 public:
  /// With one reference, the caller's.
  [[nodiscard]] static virt::Result<ConnectionHandle*> open(virt::ConnectOptions options);

  [[nodiscard]] bool is_valid() const { return magic_ == kMagic; }

  void ref() { ++references_; }
  /// Gives one reference back; true when it was the last, and the handle is gone.
  bool unref();

  [[nodiscard]] virt::Connection& virt() const { return *connection_; }

  [[nodiscard]] EventCallbacks& callbacks() const { return *callbacks_; }

  /// libvirt numbers the domains that run; ours get theirs when a lookup first finds them running.
  /// -1 for a domain that is shut off.
  [[nodiscard]] int number(const std::string& uuid, bool is_running);
  /// The number that the last lookup gave.
  [[nodiscard]] int number_of(const std::string& uuid);

 private:
  static constexpr std::uint32_t kMagic = 0x62706331;

  ConnectionHandle() = default;

  std::atomic<std::uint32_t> magic_{kMagic};
  std::atomic<int> references_{1};
  std::shared_ptr<EventCallbacks> callbacks_;
  std::shared_ptr<virt::Connection> connection_;

  /// Guards what follows.
  std::mutex mutex_;
  std::map<std::string, int> numbers_;
  int next_number_ = 1;
};

class DomainHandle {
 public:
  /// With one reference, the caller's; takes one on the connection.
  [[nodiscard]] static DomainHandle* make(ConnectionHandle& connection, std::string name,
                                          std::string uuid, int number);

  [[nodiscard]] bool is_valid() const { return magic_ == kMagic; }

  void ref() { ++references_; }
  void unref();

  [[nodiscard]] ConnectionHandle& connection() const { return connection_; }

  [[nodiscard]] const std::string& name() const { return name_; }

  [[nodiscard]] const std::string& uuid() const { return uuid_; }

  [[nodiscard]] int number() const { return number_; }

 private:
  static constexpr std::uint32_t kMagic = 0x62706432;

  DomainHandle(ConnectionHandle& connection, std::string name, std::string uuid, int number);

  std::atomic<std::uint32_t> magic_{kMagic};
  std::atomic<int> references_{1};
  ConnectionHandle& connection_;
  const std::string name_;
  const std::string uuid_;
  const int number_;
};

}  // namespace blockpull::capi
