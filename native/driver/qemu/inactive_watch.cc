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

/// Whether the images are inactive, or may have been since the last look.
bool InactiveWatch::was_handed_over(const RunState& state) const {
  if (is_inactive(state)) {
    return true;
  }
  // It may have come back from one migration and gone into the next.
  if (may_have_been_away() && (is_migrating(known_) || is_migrating(state))) {
    return true;
  }
  const bool is_another =
      state.migration != known_.migration || state.migration_mark != known_.migration_mark;
  if (state.migration == "completed") {
    return is_another || may_have_been_away();
  }
  // One that failed or was cancelled may have done so at any time. A guest that runs would have
  // been stopped for the switch-over; of one that stands nothing tells.
  const bool has_ended = state.migration == "failed" || state.migration == "cancelled";
  return has_ended && is_another && (may_have_been_away() || state.status != "running");
}

/// Since the last state that is known: a guest that ran then has been stopped for it and went on.
bool InactiveWatch::may_have_been_away() const {
  return switches_ >= (known_.status == "running" ? 2U : 1U);
}

void InactiveWatch::restart() {
  is_tainted_ = false;
  stood_before_ = false;
}

}  // namespace blockpull::driver::qemu
