// SPDX-License-Identifier: Apache-2.0
//
// What is special about one kind of job. The tracker (job_tracker.h) brings any block job of QEMU
// to an end that lasts, and knows the kind only through these operations:
//
//     prepare        before the header changes: is everything there, and durable?
//     confirm        after it: does the disk show what was promised?
//     was_done       the job is gone, and nobody heard of its end: was it done?
//     restart        the same job once more, after it was cancelled
//
// Thread rule: the host's thread, `done` too. After the job's end nothing is called any more.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "driver/qemu/job_watch.h"
#include "driver/qemu/run_state.h"

namespace blockpull::driver::qemu {

/// Whether the job at pending may be finalized.
struct Preparation {
  enum class Verdict : std::uint8_t {
    kReady,
    /// The connection broke, or the images are inactive now.
    kTryLater,
    /// What was copied may be lost for good.
    kFlushFailed,
    /// Bytes that should have been copied are missing.
    kLacks,
    /// Nobody can tell. Either the guest was migrated while nobody tracked the job and its files
    /// are not visible, or an internal snapshot was taken, which has only what was copied until
    /// then.
    kUnknowable,
  };
  Verdict verdict = Verdict::kReady;
  /// Why it may not be finalized.
  std::optional<Error> error = {};
};

/// The report on a job that QEMU has completed.
struct Confirmation {
  bool is_verified = true;
  bool is_durable = true;
  std::vector<std::string> warnings;
  /// Layers that the image no longer needs and that no other disk of this QEMU reads.
  std::vector<std::string> released;
};

class JobOperations {
 public:
  virtual ~JobOperations() = default;

  /// QEMU's command for such a job, which users see as its method.
  [[nodiscard]] virtual const char* command() const = 0;

  /// For the job at pending. `state` is the guest's state.
  virtual void prepare(const RunState& state, std::function<void(Preparation)> done) = 0;

  /// For a job that has ended without an error. Absent: try later. Fails if the end is not what was
  /// promised, or may not last.
  virtual void confirm(std::function<void(std::optional<Result<Confirmation>>)> done) = 0;

  /// Whether QEMU shows the end of a job that it no longer lists; absent if it cannot be asked.
  virtual void was_done(std::function<void(std::optional<bool>)> done) = 0;

  /// Asks QEMU for the job once more, and returns the watch of the new job. kGuestBusy while QEMU
  /// may not write.
  virtual void restart(std::uint64_t bandwidth,
                       std::function<void(Result<std::shared_ptr<JobWatch>>)> done) = 0;

  /// The job was restarted, or may have skipped writes: earlier checks no longer count.
  virtual void forget() = 0;
};

/// True if we cannot tell whether QEMU ran the command; the next poll will.
[[nodiscard]] inline bool is_unknown(const Error& error) {
  return error.kind == ErrorKind::kMonitorLost || error.kind == ErrorKind::kMonitorBusy ||
         error.kind == ErrorKind::kMonitorTimeout;
}

}  // namespace blockpull::driver::qemu
