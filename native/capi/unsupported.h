// SPDX-License-Identifier: Apache-2.0
//
// The body of the stubs that scripts/make-abi.mjs makes for the rest of libvirt's symbols. They
// fail as libvirt does if a driver lacks a method (code 3), for any arguments. The stubs of
// libvirt-qemu.so.0 and libvirt-lxc.so.0 fail through libvirt.so.0, which has the last error.

#pragma once

namespace blockpull::capi {

/// `function` is a literal: its name in C.
void raise_unsupported(const char* function);

}  // namespace blockpull::capi

#pragma GCC visibility push(default)
extern "C" {

/// The same for the two libraries beside libvirt.so.0, whose errors name no part of libvirt.
void blockpull_raise_unsupported(const char* function);
}
#pragma GCC visibility pop
