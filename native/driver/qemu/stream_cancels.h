// SPDX-License-Identifier: Apache-2.0
//
// Why a stream is to be cancelled, and what QEMU says to that. A cancel that QEMU refuses is tried
// again at the next look. A job that is refused it for good goes on to its end rather than wait at
// pending, and the end carries a warning; unless its content cannot be trusted, when it stays.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/error.h"

namespace blockpull::driver::qemu {

/// Why the job is to be cancelled, if it is, and what that ends it with.
struct Unwanted {
  /// Somebody aborts it.
  bool is_aborted = false;
  /// It skipped what it should have copied, and is begun again.
  bool is_again = false;
  /// It must not complete: its first flush failed, or something lacks.
  std::optional<Error> distrust;
  /// It had stopped on an error where it should fail. It may complete if it goes on after all.
  std::optional<Error> stop_error;

  [[nodiscard]] bool is_so() const { return is_aborted || is_again || distrust || stop_error; }
  /// Absent where it was only aborted.
  [[nodiscard]] const std::optional<Error>& failure() const {
    return distrust ? distrust : stop_error;
  }
};

/// What QEMU has said to our cancels.
struct Cancels {
  /// So many refusals are believed: one may have met a job that was just ending.
  static constexpr std::uint32_t kRefusalsBelieved = 2;

  bool is_answered = false;
  std::uint32_t refused = 0;
  /// QEMU's words for the last one.
  std::string refusal;

  /// The job cannot be cancelled, whoever wants it.
  [[nodiscard]] bool are_in_vain() const { return refused >= kRefusalsBelieved; }
};

enum class CancelMove : std::uint8_t {
  /// It is wanted, or QEMU refuses to cancel it and it may as well complete.
  kNone,
  kCancel,
  /// QEMU refuses to cancel what must not complete.
  kGiveUp,
};

[[nodiscard]] inline CancelMove next_cancel(const Unwanted& unwanted, const Cancels& cancels,
                                            bool is_pending) {
  if (!unwanted.is_so()) {
    return CancelMove::kNone;
  }
  if (!is_pending || !cancels.are_in_vain()) {
    return CancelMove::kCancel;
  }
  return unwanted.distrust || unwanted.is_again ? CancelMove::kGiveUp : CancelMove::kNone;
}

}  // namespace blockpull::driver::qemu
