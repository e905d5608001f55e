// SPDX-License-Identifier: Apache-2.0
//
// A request for a pull under a running guest, from the call until QEMU has answered. A hung QEMU
// answers after half a minute or never, and the caller may not want to wait that long. A caller
// that gives up must learn whether QEMU may still start the job.
//
//     waiting ─▶ ask() ─▶ asked ─▶ take() ─▶ the job is the caller's, who may abort it
//        │                  │
//        └─ give_up() ──────┴─▶ reported: nothing was started, or QEMU may start it
//
// The first event wins. After give_up() QEMU is not asked, and a job that it has started by then is
// not taken.
//
// Thread rule: any thread. The report is made outside the lock, on the thread of give_up().

#pragma once

#include <functional>
#include <mutex>

namespace blockpull::virt {

class PullStart {
 public:
  /// QEMU is about to be asked for the job. False: the caller has given up.
  [[nodiscard]] bool ask();

  /// QEMU has answered. False: the caller has given up.
  [[nodiscard]] bool take();

  /// Stops waiting, unless QEMU has answered.
  void give_up();

  /// Calls `done` when the caller gives up, with whether QEMU had been asked by then. If the caller
  /// gave up before, calls it at once, on this thread.
  void when_given_up(std::function<void(bool was_asked)> done);

 private:
  /// Guards everything below.
  std::mutex mutex_;
  bool was_asked_ = false;
  bool is_taken_ = false;
  bool is_given_up_ = false;
  std::function<void(bool)> done_;
};

}  // namespace blockpull::virt
