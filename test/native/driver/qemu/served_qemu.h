// SPDX-License-Identifier: Apache-2.0
//
// A FakeQemu behind a real socket, on a thread of its own. Like QEMU it serves one client at a
// time. A command can be held, so that a test acts while it is in flight.
//
// Thread rule: any thread.

#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "core/qmp/scripted_server.h"
#include "driver/qemu/fake_qemu.h"

namespace blockpull::driver::qemu {

class ServedQemu {
 public:
  explicit ServedQemu(const std::string& path);
  ~ServedQemu() { stop(); }
  ServedQemu(const ServedQemu&) = delete;
  ServedQemu& operator=(const ServedQemu&) = delete;

  /// Runs `act` on the QEMU while it is idle.
  template <typename Act>
  auto with(Act act) {
    const std::lock_guard lock(mutex_);
    return act(qemu_);
  }
  /// Waits until `holds` is true of the QEMU, after some command; false if it never is.
  template <typename Holds>
  [[nodiscard]] bool wait_for(Holds holds) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return holds(qemu_); });
  }

  /// The next `command` waits for release().
  void hold(const std::string& command);
  /// Waits until that command has come.
  [[nodiscard]] bool wait_until_held();
  void release();

  /// QEMU ends.
  void stop();

 private:
  static constexpr std::chrono::seconds kPatience{60};

  void serve();
  void serve_client();
  void answer(const qmp::Request& request);

  /// Guards everything but the client; the other side of the lock only shuts the client down.
  std::mutex mutex_;
  std::condition_variable changed_;
  FakeQemu qemu_;
  std::string held_;
  bool is_held_ = false;
  bool is_stopping_ = false;
  qmp::ScriptedServer server_;
  std::optional<qmp::ServedClient> client_;
  std::thread thread_;
};

}  // namespace blockpull::driver::qemu
