// SPDX-License-Identifier: Apache-2.0
//
// Why a job is to be cancelled, and what QEMU answers to that. A cancel that QEMU refuses is tried
// again at the next poll. Where QEMU keeps refusing, the job continues to its end, which carries a
// warning. A job whose content cannot be trusted is left at pending instead.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/error.h"

namespace blockpull::driver::qemu {

/// Why the job is to be cancelled, if it is, and which error it then ends with.
struct CancelReason {
  /// Somebody aborts it.
  bool is_abort = false;
  /// It skipped writes that it should have made, and is to be restarted.
  bool is_restart = false;
  /// It must not complete: its first flush failed, or copied bytes are missing.
  std::optional<Error> distrust;
  /// It stopped on an error that should fail it. It may complete if it continues after all.
  std::optional<Error> stop_error;

  [[nodiscard]] bool any() const { return is_abort || is_restart || distrust || stop_error; }
  /// Absent if it was only aborted.
  [[nodiscard]] const std::optional<Error>& failure() const {
    return distrust ? distrust : stop_error;
  }
};

/// What QEMU has answered to our cancels.
struct CancelAnswers {
  /// The second refusal is believed; the first may have met a job that was just ending.
  static constexpr std::uint32_t kRefusalsBelieved = 2;

  bool is_answered = false;
  std::uint32_t refused = 0;
  /// QEMU's words for the last refusal.
  std::string refusal;

  /// The job cannot be cancelled.
  [[nodiscard]] bool are_in_vain() const { return refused >= kRefusalsBelieved; }
};

enum class CancelMove : std::uint8_t {
  /// Nobody wants to cancel it, or QEMU refuses and the job may complete.
  kNone,
  kCancel,
  /// QEMU refuses to cancel a job that must not complete.
  kGiveUp,
};

[[nodiscard]] inline CancelMove next_cancel(const CancelReason& reason,
                                            const CancelAnswers& answers, bool is_pending) {
  if (!reason.any()) {
    return CancelMove::kNone;
  }
  if (!is_pending || !answers.are_in_vain()) {
    return CancelMove::kCancel;
  }
  return reason.distrust || reason.is_restart ? CancelMove::kGiveUp : CancelMove::kNone;
}

}  // namespace blockpull::driver::qemu
