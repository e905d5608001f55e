// SPDX-License-Identifier: Apache-2.0
//
// virConnectOpen to virConnectClose. Without a name the URI is that of the environment.

#include <cstdlib>
#include <string>
#include <string_view>

#include "capi/call.h"
#include "capi/handles.h"
#include "capi/wait.h"

namespace blockpull::capi {
namespace {

std::string_view text_of(const char* text) {
  return text == nullptr ? "" : text;
}

/// As the Node package takes it: its own variable, then libvirt's.
std::string uri_of(const char* name) {
  for (const std::string_view uri : {text_of(name), text_of(std::getenv("BLOCKPULL_URI")),
                                     text_of(std::getenv("LIBVIRT_DEFAULT_URI"))}) {
    if (!uri.empty()) {
      return std::string(uri);
    }
  }
  return "";
}

virConnectPtr open(const Call& call, const char* name, bool read_only) {
  if (!call.may_begin()) {
    return nullptr;
  }
  virt::ConnectOptions options;
  options.uri = uri_of(name);
  if (options.uri->empty()) {
    raise(virt::report(ErrorKind::kInvalidArgument, virt::ErrorCode::kNoConnect,
                       virt::ErrorDomain::kNone,
                       "an empty URI; name one, or set LIBVIRT_DEFAULT_URI to "
                       "'qemu:///embed?root=DIR'"));
    return nullptr;
  }
  options.read_only = read_only;
  const auto opened = answer_of<ConnectionHandle*>(
      [&](auto answer) { answer(ConnectionHandle::open(std::move(options))); });
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
