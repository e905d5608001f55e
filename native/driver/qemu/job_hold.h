// SPDX-License-Identifier: Apache-2.0
//
// Holds a stream still for as long as its guest is migrated or saved, and tells whether that came
// in time (inactive_watch.h says why it must).
//
//     look ─▶ a migration goes on, or the images are inactive?
//               yes, and the job runs             ─▶ pause it
//               yes, and it stands                ─▶ wait
//               no, and it stands since we asked  ─▶ let it go on
//
// A job that an earlier process left paused goes on with whoever follows it; nobody else would ask.
//
// Pure. Thread rule: one thread at a time.

#pragma once

#include "core/qmp/commands.h"
#include "driver/qemu/inactive_watch.h"

namespace blockpull::driver::qemu {

class JobHold {
 public:
  enum class Move : std::uint8_t { kNothing, kPause, kResume, kWait };

  /// `was_there`: an earlier process began the job.
  JobHold(const RunState& state, bool was_there)
      : inactive_(state), may_be_left_paused_(was_there) {}

  /// One look; without a job there is nothing that could run. `switches`: how often the guest was
  /// stopped or went on since the last one.
  void observe(const qmp::BlockJob* job, const RunState& state, std::uint64_t switches);

  /// What is to be asked of the job.
  [[nodiscard]] Move next(const qmp::BlockJob& job) const;

  /// A pause is under way. Its answer may be lost, and then it is not known whether it stands.
  void pause_asked() { may_be_left_paused_ = true; }
  void pause_answered(const Result<void>& answer);
  /// It is asked to go on, by us or by somebody else: it may run before the next look, and stand
  /// again by then.
  void resuming();
  /// Refused as not paused, it runs; refused otherwise, it is asked again.
  void resume_answered(const Result<void>& answer);

  /// It stands since we asked for it.
  [[nodiscard]] bool is_held(const qmp::BlockJob& job) const;

  /// The stream should stand still for now.
  [[nodiscard]] bool must_stand() const { return inactive_.must_stand(); }

  /// The job may have skipped what it should have written.
  [[nodiscard]] bool is_tainted() const { return inactive_.is_tainted(); }

  [[nodiscard]] const RunState& state() const { return inactive_.state(); }

  void restart();

 private:
  [[nodiscard]] bool stands(const qmp::BlockJob& job) const;

  InactiveWatch inactive_;
  /// It stands still since we asked for it.
  bool is_paused_ = false;
  /// An earlier process may have asked for that, and died; or we have, and were not answered.
  bool may_be_left_paused_ = false;
};

}  // namespace blockpull::driver::qemu
