// SPDX-License-Identifier: Apache-2.0

#include "capi/open_connection.h"

#include <utility>

#include "capi/event_callbacks.h"
#include "capi/process.h"

namespace blockpull::capi {

virt::Result<ConnectionHandle*> open_connection(virt::ConnectOptions options) {
  auto handle = std::make_unique<ConnectionHandle>();
  const auto callbacks = std::make_shared<EventCallbacks>(*handle);
  const auto on_event = [callbacks](const virt::BlockJobEvent& event, const auto& /*state*/) {
    callbacks->queue(event);
  };
  BLOCKPULL_TRY(connect, Process::get().open(std::move(options), on_event));
  handle->attach(std::move(connect), callbacks);
  return handle.release();
}

}  // namespace blockpull::capi
