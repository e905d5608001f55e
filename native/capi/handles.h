// SPDX-License-Identifier: Apache-2.0
//
// What virConnectPtr and virDomainPtr point to. Both are counted, as in libvirt:
//
//     connection  ◀── one for each virConnectOpen and virConnectRef, each domain handle and each
//                     registered callback, and while its events are delivered
//     domain      ◀── one for each lookup and virDomainRef; its name, UUID and id are those of
//                     the lookup
//
// The last reference to a connection ends its jobs and waits for them. A magic number at the
// beginning distinguishes a handle from another pointer and, with luck, from a freed handle.
//
// Thread rule: any thread but the engine's.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "virt/calls/connect.h"

namespace blockpull::capi {

class EventCallbacks;

class ConnectionHandle {
 public:
  /// Completes a handle, which has one reference, the caller's.
  void attach(std::shared_ptr<virt::Connect> connect, std::shared_ptr<EventCallbacks> callbacks) {
    connect_ = std::move(connect);
    callbacks_ = std::move(callbacks);
  }

  [[nodiscard]] bool is_valid() const { return magic_ == kMagic; }

  void ref() { ++references_; }
  /// Releases one reference; true if it was the last and the handle is gone.
  bool unref();

  [[nodiscard]] const std::shared_ptr<virt::Connect>& virt() const { return connect_; }

  [[nodiscard]] EventCallbacks& callbacks() const { return *callbacks_; }

 private:
  static constexpr std::uint32_t kMagic = 0x62706331;

  std::atomic<std::uint32_t> magic_{kMagic};
  std::atomic<int> references_{1};
  std::shared_ptr<EventCallbacks> callbacks_;
  std::shared_ptr<virt::Connect> connect_;
};

class DomainHandle {
 public:
  /// Returns it with one reference, the caller's; takes one on the connection.
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
