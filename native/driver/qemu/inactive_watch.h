// SPDX-License-Identifier: Apache-2.0
//
// Whether a stream may have run while its guest's images were inactive. QEMU goes on with it then,
// skips its writes and counts them as done (docs/qemu-defects.md), so such a stream must never be
// finalized. Only one that stood still the whole time has lost nothing:
//
//     look        job       migration   guest         held before?
//      1          running   -           running       no
//      2          running   active      running       no       ─▶ pause it
//      3          paused    active      running       yes      (still QEMU's images: it stands)
//      4          paused    completed   postmigrate   yes      nothing was skipped
//      5          paused    completed   running       yes      ─▶ resume it
//
// without look 3, at look 4 or 5: tainted. A job that stops by itself at `pending`, or on an error,
// stands still as well.
//
// A migration can begin and end between two looks. It shows by the numbers that query-migrate keeps
// of the last one, or by events: a guest that runs sends STOP when its images go, and RESUME when
// it goes on. A guest that was migrated long ago, or that is about to be, and is only stopped and
// continued now looks the same; then the stream is begun again for nothing, and what was copied
// stays.
//
// Pure. Thread rule: one thread at a time.

#pragma once

#include <cstdint>

#include "driver/qemu/run_state.h"

namespace blockpull::driver::qemu {

class InactiveWatch {
 public:
  /// `state`: when the stream was begun, or found.
  explicit InactiveWatch(const RunState& state) : state_(state), known_(state) {}

  /// One look: first at the job, which did or did not stand still, then at the state.
  void observe(bool job_stands, const RunState& state);

  /// So often the guest was stopped or went on since the last look.
  void hear_switches(std::uint64_t switches) { switches_ += switches; }

  [[nodiscard]] bool is_tainted() const { return is_tainted_; }

  /// The stream should stand still for now.
  [[nodiscard]] bool must_stand() const { return !check_may_write(state_).ok(); }

  [[nodiscard]] const RunState& state() const { return state_; }

  /// The job was asked to go on: from now on it may run, seen or not.
  void let_go() { stood_before_ = false; }

  /// The stream is begun again.
  void restart();

 private:
  [[nodiscard]] bool was_handed_over(const RunState& state) const;
  [[nodiscard]] bool may_have_been_away() const;

  RunState state_;
  /// The last state in which the images were surely QEMU's.
  RunState known_;
  /// The job stood still at a time when the images were QEMU's, and has since.
  bool stood_before_ = false;
  /// How often the guest was stopped or went on since that state.
  std::uint64_t switches_ = 0;
  bool is_tainted_ = false;
};

}  // namespace blockpull::driver::qemu
