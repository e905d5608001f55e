// SPDX-License-Identifier: Apache-2.0
//
// The calls on the library as a whole, and its only data symbol.

#include <array>

#include "capi/call.h"

using blockpull::capi::Call;

namespace {

/// The libvirt whose symbols we have, in libvirt's own encoding: 11.3.0.
constexpr unsigned long kLibvirtVersion = 11003000;

/// The callback by which virConnectOpenAuth would ask for credentials; nothing here asks.
virConnectAuth no_credentials{nullptr, 0, [](void*, unsigned int, void*) { return -1; }, nullptr};

}  // namespace

virConnectAuthPtr virConnectAuthPtrDefault = &no_credentials;

int virInitialize() {
  const Call call("virInitialize");
  return call.may_begin() ? 0 : -1;
}

int virGetVersion(unsigned long* libVer, const char* /*type*/, unsigned long* typeVer) {
  const Call call("virGetVersion");
  if (!call.may_begin()) {
    return -1;
  }
  if (libVer == nullptr) {
    blockpull::capi::raise_unknown();
    return -1;
  }
  *libVer = kLibvirtVersion;
  if (typeVer != nullptr) {
    *typeVer = kLibvirtVersion;
  }
  return 0;
}
