// SPDX-License-Identifier: Apache-2.0
//
// A call for a pull under a running guest, from when it is made until QEMU has answered. A QEMU
// that hangs answers after half a minute or never; whoever called may want to wait no longer, and
// then has to be told whether QEMU may begin the job all the same.
//
//     waiting ─▶ ask() ─▶ asked ─▶ take() ─▶ the job is the caller's, who may abort it
//        │                  │
//        └─ give_up() ──────┴─▶ told: nothing was begun, or QEMU may begin it
//
// What comes first counts: once given up QEMU is not asked, and what it had begun by then is not
// taken.
//
// Thread rule: any thread. What is told is told outside the lock, on the thread of give_up().

#pragma once

#include <functional>
#include <mutex>

namespace blockpull::virt {

class PullStart {
 public:
  /// QEMU is about to be asked for the job. False: nobody wants it any more.
  [[nodiscard]] bool ask();

  /// QEMU has answered. False: nobody waits for that any more.
  [[nodiscard]] bool take();

  /// Waits no more, unless QEMU has answered.
  void give_up();

  /// `told` hears that it was given up, and whether QEMU was asked by then; at once, on this
  /// thread, where it was before.
  void when_given_up(std::function<void(bool was_asked)> told);

 private:
  /// Guards what follows.
  std::mutex mutex_;
  bool was_asked_ = false;
  bool is_taken_ = false;
  bool is_given_up_ = false;
  std::function<void(bool)> told_;
};

}  // namespace blockpull::virt
