// SPDX-License-Identifier: Apache-2.0
//
// A FakeQemu behind a real socket, on a thread of its own, one client at a time as QEMU serves
// them. A command can be held, so that a test acts while it is in flight.
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

  /// Runs `act` on the QEMU while it does nothing.
  template <typename Act>
  auto with(Act act) {
    const std::lock_guard lock(mutex_);
    return act(qemu_);
  }
  /// Waits until `holds` says so of the QEMU, after some command; false when it never does.
  template <typename Holds>
  [[nodiscard]] bool wait_for(Holds holds) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return holds(qemu_); });
  }

  /// The next `command` waits for release().
  void hold(const std::string& command);
  /// Waits until it has come.
  [[nodiscard]] bool wait_until_held();
  void release();

  /// QEMU ends.
  void stop();

 private:
  static constexpr std::chrono::seconds kPatience{20};

  void serve();
  void serve_client();
  void answer(const qmp::Request& request);

  /// Guards all but the client, whose other end of the lock is only its shutdown.
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
