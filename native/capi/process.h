// SPDX-License-Identifier: Apache-2.0
//
// What a program's connections share: their end, and the effects of fork().
//
//     open ─▶ connection, and with the first one the engine ─▶ close: its jobs end, and with the
//                                                               last one the engine
//     exit()  jobs are abandoned: nothing more is linked, and what is in flight is waited for;
//             no connection can be opened or used from then on
//     fork()  a child has none of the threads, and locks in an arbitrary state: if its parent had
//             connections open, every call in the child fails before it takes any lock. A child of
//             a process without connections may open its own: that is how daemons start.
//
// Created once and never destroyed, since threads of the program may call until the very end.
//
// Thread rule: any thread.

#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "virt/calls/connect.h"

namespace blockpull::capi {

class Process {
 public:
  static Process& get();

  /// 55 in a child of fork() that cannot use what its parent has open.
  [[nodiscard]] virt::Result<void> check_not_forked(std::string_view function) const;

  /// Opens a connection. Blocks for file operations.
  [[nodiscard]] virt::Result<std::shared_ptr<virt::Connect>> open(virt::ConnectOptions options,
                                                                  virt::OnEvent on_event);

  /// Ends a connection: returns when its jobs have ended, at a consistent point.
  void close(std::shared_ptr<virt::Connect> connection);

 private:
  [[nodiscard]] bool is_forked() const;
  [[nodiscard]] virt::Result<void> keep(const std::shared_ptr<virt::Connect>& connection);
  [[nodiscard]] std::vector<std::shared_ptr<virt::Connect>> open_connections();
  void end();

  /// Connections that are open, being opened or being closed. Counted before and after everything
  /// else, so that a child of fork() never sees 0 while a lock may be held.
  std::atomic<int> users_{0};
  /// The process that owns them.
  std::atomic<pid_t> owner_{0};

  /// Guards everything below.
  std::mutex mutex_;
  std::vector<std::weak_ptr<virt::Connect>> connections_;
  bool ends_at_exit_ = false;
  bool is_ending_ = false;
};

}  // namespace blockpull::capi
