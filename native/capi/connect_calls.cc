// SPDX-License-Identifier: Apache-2.0
//
// virConnectOpen to virConnectClose.

#include <string>

#include "capi/call.h"
#include "capi/handles.h"
#include "capi/open_connection.h"
#include "capi/wait.h"

namespace blockpull::capi {
namespace {

virConnectPtr open(const Call& call, const char* name, bool read_only) {
  if (!call.may_begin()) {
    return nullptr;
  }
  virt::ConnectOptions options;
  options.uri = name == nullptr ? "" : name;
  options.read_only = read_only;
  const auto opened = answer_of<ConnectionHandle*>(
      [&](auto answer) { answer(open_connection(std::move(options))); });
  return call.succeeded(opened) ? opened.value() : nullptr;
}

}  // namespace
}  // namespace blockpull::capi

using blockpull::capi::Call;

virConnectPtr virConnectOpen(const char* name) {
  return blockpull::capi::open(Call("virConnectOpen"), name, false);
}

virConnectPtr virConnectOpenReadOnly(const char* name) {
  return blockpull::capi::open(Call("virConnectOpenReadOnly"), name, true);
}

int virConnectRef(virConnectPtr conn) {
  const Call call("virConnectRef");
  if (!call.takes(conn)) {
    return -1;
  }
  conn->ref();
  return 0;
}

int virConnectClose(virConnectPtr conn) {
  const Call call("virConnectClose");
  if (!call.takes(conn, blockpull::virt::ErrorDomain::kNone)) {
    return -1;
  }
  return conn->unref() ? 0 : 1;
}
