// SPDX-License-Identifier: Apache-2.0

#include "capi/handles.h"

#include <utility>

#include "capi/process.h"

namespace blockpull::capi {

bool ConnectionHandle::unref() {
  if (--references_ > 0) {
    return false;
  }
  magic_ = 0;
  Process::get().close(std::move(connect_));
  delete this;
  return true;
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
