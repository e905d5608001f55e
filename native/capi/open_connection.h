// SPDX-License-Identifier: Apache-2.0
//
// Opens what virConnectOpen gives: a connection with the callbacks that its events go to.

#pragma once

#include "capi/handles.h"

namespace blockpull::capi {

/// With one reference, the caller's.
[[nodiscard]] virt::Result<ConnectionHandle*> open_connection(virt::ConnectOptions options);

}  // namespace blockpull::capi
