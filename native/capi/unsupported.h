// SPDX-License-Identifier: Apache-2.0
//
// What the stubs do that scripts/make-abi.mjs makes for the rest of libvirt's symbols: they fail as
// libvirt does where a driver lacks a method (code 3), whatever they are given.

#pragma once

namespace blockpull::capi {

/// `function` is a literal: its name in C.
void raise_unsupported(const char* function);

}  // namespace blockpull::capi
