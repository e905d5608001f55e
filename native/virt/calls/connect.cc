// SPDX-License-Identifier: Apache-2.0

#include "virt/calls/connect.h"

#include <algorithm>
#include <utility>

#include "virt/hosts/embed/embed_driver.h"
#include "virt/session/checks.h"

namespace blockpull::virt {

Result<void> Connect::check_may_change(std::string_view function) const {
  BLOCKPULL_CHECK(driver_->check_open(function));
  return check_writable(driver_->is_read_only(), function);
}

Result<std::shared_ptr<Connect>> open_connect(std::shared_ptr<job::Engine> engine,
                                              ConnectOptions options,
                                              const std::vector<std::string>& default_uris,
                                              OnEvent on_event) {
  if (options.uri && options.uri->empty()) {
    const auto set = std::ranges::find_if_not(default_uris, &std::string::empty);
    if (set == default_uris.end()) {
      return report(ErrorKind::kInvalidArgument, ErrorCode::kNoConnect, ErrorDomain::kNone,
                    "an empty URI; name one, or set LIBVIRT_DEFAULT_URI to "
                    "'qemu:///embed?root=DIR'");
    }
    options.uri = *set;
  }
  auto state = std::make_shared<ConnectState>();
  EventSink sink = [state, on_event = std::move(on_event)](const BlockJobEvent& event) {
    on_event(event, state);
  };
  BLOCKPULL_TRY(driver,
                embed::open_embed_driver(std::move(engine), std::move(options), std::move(sink)));
  return std::make_shared<Connect>(std::move(driver), std::move(state));
}

}  // namespace blockpull::virt
