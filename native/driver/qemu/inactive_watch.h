// SPDX-License-Identifier: Apache-2.0
//
// Whether a stream may have run while its guest's images were inactive. QEMU then continues it,
// skips its writes and counts them as done (docs/qemu-defects.md), so such a stream must never be
// finalized. Only a stream that stood still the whole time has lost nothing:
//
//     poll        job       migration   guest         held before?
//      1          running   -           running       no
//      2          running   active      running       no       ─▶ pause it
//      3          paused    active      running       yes      (still QEMU's images: it stands)
//      4          paused    completed   postmigrate   yes      nothing was skipped
//      5          paused    completed   running       yes      ─▶ resume it
//
// Without poll 3, the stream is tainted at poll 4 or 5. A job that stops by itself, at `pending` or
// on an error, stands still as well.
//
// A migration can start and end between two polls. Two signs show it: the numbers that
// query-migrate keeps of the last migration, and events. A running guest sends STOP when its images
// go, and RESUME when it continues. A guest may only be stopped and continued, and have been
// migrated long ago or be about to be. That looks the same; the stream is then restarted for
// nothing, and what was copied stays.
//
// Pure. Thread rule: one thread at a time.

#pragma once

#include <cstdint>

#include "driver/qemu/run_state.h"

namespace blockpull::driver::qemu {

class InactiveWatch {
 public:
  /// `state`: when the stream was started, or found.
  explicit InactiveWatch(const RunState& state) : state_(state), known_(state) {}

  /// One poll: first the job, which did or did not stand still, then the state.
  void observe(bool job_stands, const RunState& state);

  /// How often the guest was stopped or continued since the last poll.
  void hear_switches(std::uint64_t switches) { switches_ += switches; }

  [[nodiscard]] bool is_tainted() const { return is_tainted_; }

  /// Whether the stream should stand still now.
  [[nodiscard]] bool must_stand() const { return !check_may_write(state_).ok(); }

  [[nodiscard]] const RunState& state() const { return state_; }

  /// The job was asked to continue: from now on it may run, seen or not.
  void let_go() { stood_before_ = false; }

  /// The stream was restarted.
  void restart();

 private:
  [[nodiscard]] bool was_handed_over(const RunState& state) const;
  [[nodiscard]] bool may_have_been_away() const;

  RunState state_;
  /// The last state in which the images were certainly QEMU's.
  RunState known_;
  /// The job stood still at a time when the images were QEMU's, and has stood still since.
  bool stood_before_ = false;
  /// How often the guest was stopped or continued since that state.
  std::uint64_t switches_ = 0;
  bool is_tainted_ = false;
};

}  // namespace blockpull::driver::qemu
