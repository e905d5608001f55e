// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/flush.h"

#include <utility>

#include "core/base/text.h"

namespace blockpull::driver {
namespace {

qmp::Command flush_by_hand(const std::string& node) {
  return {"human-monitor-command",
          qmp::JsonWriter().member("command-line", text("qemu-io ", node, " flush")).text(), true};
}

/// The human monitor answers with what it printed: nothing, when all went well.
Result<void> read_answer(Result<qmp::Json> answer, const std::string& node) {
  BLOCKPULL_TRY(printed, std::move(answer));
  const std::string said = printed.text_or_empty();
  if (said.empty()) {
    return {};
  }
  return make_error(ErrorKind::kIo, text("flush of node '", node, "' failed: QEMU says '",
                                         said.substr(0, said.find_last_not_of("\r\n") + 1), "'"));
}

}  // namespace

void flush_node(const std::shared_ptr<qmp::Monitor>& monitor, const std::string& node,
                std::function<void(Result<void>)> then) {
  monitor->reach([monitor, node, then = std::move(then)](const Result<qmp::Peer>& peer) {
    if (!peer.ok()) {
      then(peer.error());
      return;
    }
    if (!peer->is_there) {
      then(make_error(ErrorKind::kMonitorLost,
                      text("nobody listens on monitor '", monitor->path(), "'")));
      return;
    }
    if (!peer->offers("human-monitor-command")) {
      then(make_error(ErrorKind::kUnsupported,
                      text("QEMU behind '", monitor->path(), "' offers no way to flush")));
      return;
    }
    monitor->execute(flush_by_hand(node), [node, then](Result<qmp::Json> answer) {
      then(read_answer(std::move(answer), node));
    });
  });
}

}  // namespace blockpull::driver
