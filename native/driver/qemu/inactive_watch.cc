// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/inactive_watch.h"

namespace blockpull::driver::qemu {

void InactiveWatch::observe(bool job_stands, const RunState& state) {
  stood_before_ = stood_before_ && job_stands;
  if (was_handed_over(state) && !stood_before_) {
    is_tainted_ = true;
  }
  if (!is_inactive(state)) {
    stood_before_ = job_stands;
    known_ = state;
    switches_ = 0;
  }
  state_ = state;
}

/// Whether the images are inactive, or may have been since the last poll.
bool InactiveWatch::was_handed_over(const RunState& state) const {
  if (is_inactive(state)) {
    return true;
  }
  // The guest may have come back from one migration and gone into the next.
  if (may_have_been_away() && (is_migrating(known_) || is_migrating(state))) {
    return true;
  }
  const bool is_another =
      state.migration != known_.migration || state.migration_mark != known_.migration_mark;
  if (state.migration == "completed") {
    return is_another || may_have_been_away();
  }
  // A migration that failed or was cancelled may have done so at any time. A running guest would
  // have been stopped for the switch-over; a stopped guest shows nothing.
  const bool has_ended = state.migration == "failed" || state.migration == "cancelled";
  return has_ended && is_another && (may_have_been_away() || state.status != "running");
}

/// Whether the guest may have been away since the last known state. A guest that was running must
/// have been stopped and continued for that.
bool InactiveWatch::may_have_been_away() const {
  return switches_ >= (known_.status == "running" ? 2U : 1U);
}

void InactiveWatch::restart() {
  is_tainted_ = false;
  stood_before_ = false;
}

}  // namespace blockpull::driver::qemu
