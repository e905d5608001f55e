// SPDX-License-Identifier: Apache-2.0
//
// The body of the stubs that scripts/make-abi.mjs makes for the rest of libvirt's symbols. They
// fail as libvirt does if a driver lacks a method (code 3), for any arguments.

#pragma once

namespace blockpull::capi {

/// `function` is a literal: its name in C.
void raise_unsupported(const char* function);

}  // namespace blockpull::capi
