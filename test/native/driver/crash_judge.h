// SPDX-License-Identifier: Apache-2.0
//
// The promise as a function: after any crash the image is sound, the guest reads what it read
// before, and one more pull finishes the work without leftovers.
//
// Thread rule: one thread.

#pragma once

#include <string>
#include <vector>

#include "driver/crash_cases.h"
#include "faults/crash_states.h"

namespace blockpull::driver {

class CrashJudge {
 public:
  explicit CrashJudge(const CrashCase& crash_case);

  /// The image before anything happened to it.
  [[nodiscard]] const faults::Content& start() const { return start_; }

  /// The fault of an image that nobody has touched since the crash; empty: none.
  [[nodiscard]] std::string fault_of(const faults::Content& image) const;

  /// The same, and the fault after a further pull.
  [[nodiscard]] std::string fault_after_pull(const faults::Content& image) const;

  /// The fault of an image whose pull has completed.
  [[nodiscard]] std::string fault_of_completed(const faults::Content& image) const;

 private:
  /// The layer right below is longer than the disk.
  [[nodiscard]] bool is_over_longer() const;
  [[nodiscard]] std::string differing_byte(const faults::Content& image) const;
  /// Empty if the file ends with the trailer that is to be kept, or none is.
  [[nodiscard]] std::string missing_trailer(const faults::Content& image) const;
  /// Whether the trailer lies anywhere in the bytes from there on.
  [[nodiscard]] bool has_trailer(const faults::Content& image, std::uint64_t from) const;
  [[nodiscard]] bool may_have_leaks(const faults::Verdict& verdict) const;

  const CrashCase& case_;
  const faults::Content start_;
  const std::vector<std::byte> expected_;
  const faults::Verdict before_;
  const std::vector<std::byte> trailer_;
};

}  // namespace blockpull::driver
