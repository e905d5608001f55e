// SPDX-License-Identifier: Apache-2.0

#include "capi/handles.h"

#include <utility>

#include "capi/event_callbacks.h"
#include "capi/process.h"

namespace blockpull::capi {

virt::Result<ConnectionHandle*> ConnectionHandle::open(virt::ConnectOptions options) {
  auto handle = std::unique_ptr<ConnectionHandle>(new ConnectionHandle);
  handle->callbacks_ = std::make_shared<EventCallbacks>(*handle);
  const auto sink = [callbacks = handle->callbacks_](const virt::BlockJobEvent& event) {
    callbacks->queue(event);
  };
  BLOCKPULL_TRY(connection, Process::get().open(std::move(options), sink));
  handle->connection_ = std::move(connection);
  return handle.release();
}

bool ConnectionHandle::unref() {
  if (--references_ > 0) {
    return false;
  }
  magic_ = 0;
  Process::get().close(std::move(connection_));
  delete this;
  return true;
}

int ConnectionHandle::number(const std::string& uuid, bool is_running) {
  const std::lock_guard lock(mutex_);
  if (!is_running) {
    numbers_.erase(uuid);
    return -1;
  }
  const auto [entry, is_new] = numbers_.try_emplace(uuid, next_number_);
  next_number_ += is_new ? 1 : 0;
  return entry->second;
}

int ConnectionHandle::number_of(const std::string& uuid) {
  const std::lock_guard lock(mutex_);
  const auto entry = numbers_.find(uuid);
  return entry == numbers_.end() ? -1 : entry->second;
}

DomainHandle::DomainHandle(ConnectionHandle& connection, std::string name, std::string uuid,
                           int number)
    : connection_(connection), name_(std::move(name)), uuid_(std::move(uuid)), number_(number) {}

DomainHandle* DomainHandle::make(ConnectionHandle& connection, std::string name, std::string uuid,
                                 int number) {
  connection.ref();
  return new DomainHandle(connection, std::move(name), std::move(uuid), number);
}

void DomainHandle::unref() {
  if (--references_ > 0) {
    return;
  }
  magic_ = 0;
  ConnectionHandle& connection = connection_;
  delete this;
  connection.unref();
}

}  // namespace blockpull::capi
