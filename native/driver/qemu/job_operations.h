// SPDX-License-Identifier: Apache-2.0
//
// What is special about one kind of job. The tracker (job_tracker.h) brings any block job of QEMU
// to an end that lasts, and knows the kind by these operations alone:
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
    /// Something that was to be copied is not there.
    kLacks,
    /// The guest was migrated while nobody tracked the job, and its files cannot be seen; or an
    /// internal snapshot was taken, which has only what was copied by then.
    kUnknowable,
  };
  Verdict verdict = Verdict::kReady;
  /// Why not.
  std::optional<Error> error = {};
};

/// What is reported of a job that QEMU has done.
struct Confirmation {
  bool is_verified = true;
  bool is_durable = true;
  std::vector<std::string> warnings;
  /// Layers that the image needs no more and that no other disk of this QEMU reads.
  std::vector<std::string> released;
};

class JobOperations {
 public:
  virtual ~JobOperations() = default;

  /// QEMU's command for such a job, which people see as its method.
  [[nodiscard]] virtual const char* command() const = 0;

  /// Of the job at pending. `state` is how the guest is.
  virtual void prepare(const RunState& state, std::function<void(Preparation)> done) = 0;

  /// Of the job that has ended without an error. Absent: try later. Fails where the end is not what
  /// was promised, or may not last.
  virtual void confirm(std::function<void(std::optional<Result<Confirmation>>)> done) = 0;

  /// Whether QEMU shows the end of a job that it no longer lists; absent where it cannot be asked.
  virtual void was_done(std::function<void(std::optional<bool>)> done) = 0;

  /// Asks QEMU for the job once more. Gives the ears for the new job's end. kGuestBusy while QEMU
  /// may not write.
  virtual void restart(std::uint64_t bandwidth,
                       std::function<void(Result<std::shared_ptr<JobWatch>>)> done) = 0;

  /// The job was restarted, or may have skipped something: what was seen of it counts no more.
  virtual void forget() = 0;
};

/// True if we cannot tell whether QEMU did what it was asked; the next poll will.
[[nodiscard]] inline bool is_unknown(const Error& error) {
  return error.kind == ErrorKind::kMonitorLost || error.kind == ErrorKind::kMonitorBusy ||
         error.kind == ErrorKind::kMonitorTimeout;
}

}  // namespace blockpull::driver::qemu
