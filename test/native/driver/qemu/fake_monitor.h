// SPDX-License-Identifier: Apache-2.0
//
// The monitor of a FakeQemu, one command at a time: the test decides when the next command is done,
// and how it fails.
//
//     execute ─▶ queue ─▶ step() ─▶ an event, if there is one; else done and answered
//                            kRefused     not done, QEMU refuses
//                            kLate        done, and its answer never comes in time
//                            kLostBefore  the link breaks, and it was not done
//                            kLostAfter   the link breaks, and it was done
//
// A broken link fails everything that is queued, loses the events, and fails every later command
// until restore(). Nothing calls back from inside a call.
//
// Thread rule: one thread.

#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/qmp/monitor.h"
#include "driver/qemu/fake_qemu.h"

namespace blockpull::driver::qemu {

enum class Failing : std::uint8_t { kNothing, kRefused, kLate, kLostBefore, kLostAfter };

class FakeMonitor final : public qmp::Monitor {
 public:
  explicit FakeMonitor(FakeQemu& qemu) : qemu_(qemu) {}

  [[nodiscard]] const std::string& path() const override { return path_; }
  void reach(std::function<void(Result<qmp::Peer>)> told) override;
  void execute(qmp::Command command, Answer answer) override;
  void call_later(Nanoseconds /*delay*/, std::function<void()> callback) override {
    later_.push_back(std::move(callback));
  }
  [[nodiscard]] std::uint64_t listen(qmp::Listener listener) override;
  void ignore(std::uint64_t listener) override { listeners_.erase(listener); }

  /// Does the next requested thing; false if there is none.
  bool step(Failing how = Failing::kNothing);
  /// The command that step() would do: its name, "flush", "reach", or "" for anything else.
  [[nodiscard]] std::string next() const;

  void restore();
  /// QEMU ends.
  void end_qemu();
  /// Sends JOB_STATUS_CHANGE for the job.
  void tell_change();

  [[nodiscard]] bool is_up() const override { return is_up_; }
  [[nodiscard]] std::size_t listeners() const { return listeners_.size(); }

 private:
  struct Asked {
    qmp::Command command;
    Answer answer;
    std::function<void(Result<qmp::Peer>)> told;
  };

  void lose(ErrorKind kind);
  void tell(qmp::Link link);
  void tell(const qmp::Event& event);
  [[nodiscard]] Result<qmp::Json> done(const qmp::Command& command);

  FakeQemu& qemu_;
  const std::string path_ = "/vms/vm0.qmp";
  bool is_up_ = true;
  bool is_gone_ = false;
  std::deque<Asked> asked_;
  std::deque<std::function<void()>> later_;
  std::map<std::uint64_t, qmp::Listener> listeners_;
  std::uint64_t next_listener_ = 1;
};

}  // namespace blockpull::driver::qemu
