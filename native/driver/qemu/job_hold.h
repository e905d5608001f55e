// SPDX-License-Identifier: Apache-2.0
//
// Keeps a stream paused while its guest is migrated or saved, and reports whether the pause came in
// time (inactive_watch.h says why it must).
//
//     poll ─▶ a migration is running, or the images are inactive?
//               yes, and the job runs             ─▶ pause it
//               yes, and it stands                ─▶ wait
//               no, and it stands since we asked  ─▶ let it continue
//
// A job that an earlier process left paused is resumed by its next tracker; nobody else would do
// it.
//
// Pure. Thread rule: one thread at a time.

#pragma once

#include "core/qmp/commands.h"
#include "driver/qemu/inactive_watch.h"

namespace blockpull::driver::qemu {

class JobHold {
 public:
  enum class Move : std::uint8_t { kNothing, kPause, kResume, kWait };

  /// `was_there`: an earlier process started the job.
  JobHold(const RunState& state, bool was_there)
      : inactive_(state), may_be_left_paused_(was_there) {}

  /// One poll; nullptr if there is no job that could run. `switches`: how often the guest was
  /// stopped or continued since the last poll.
  void observe(const qmp::BlockJob* job, const RunState& state, std::uint64_t switches);

  /// What to ask of the job now.
  [[nodiscard]] Move next(const qmp::BlockJob& job) const;

  /// A pause was sent. Its answer may be lost, and then we do not know whether the job stands.
  void pause_asked() { may_be_left_paused_ = true; }
  void pause_answered(const Result<void>& answer);
  /// We or another client ask the job to continue. It may run before the next poll, and have
  /// stopped again by then.
  void resuming();
  /// A refusal as "not paused" means that it runs; after any other refusal it is resumed again.
  void resume_answered(const Result<void>& answer);

  /// The job stands still because we paused it.
  [[nodiscard]] bool is_held(const qmp::BlockJob& job) const;

  /// Whether the stream should stand still now.
  [[nodiscard]] bool must_stand() const { return inactive_.must_stand(); }

  /// The job may have skipped writes that it should have made.
  [[nodiscard]] bool is_tainted() const { return inactive_.is_tainted(); }

  [[nodiscard]] const RunState& state() const { return inactive_.state(); }

  void restart();

 private:
  [[nodiscard]] bool stands(const qmp::BlockJob& job) const;

  InactiveWatch inactive_;
  /// QEMU has accepted our pause.
  bool is_paused_ = false;
  /// An earlier process may have paused it and died, or our own pause or resume was not answered.
  bool may_be_left_paused_ = false;
};

}  // namespace blockpull::driver::qemu
