// SPDX-License-Identifier: Apache-2.0
//
// The seam between a job and what it moves. A driver implements Work; `job.h` knows nothing else of
// it.
//
//     start ─▶ callbacks on the host's thread, a few ms each at the most ─▶ finish, exactly once
//     stop  ───────────────────── soon after, or already on its way ──────────▲
//
// Thread rule: every call on the host's thread; destroyed on a thread that may block, before the
// job's end is announced, so that files are closed and locks are gone by then.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "job/host.h"
#include "job/kind.h"

namespace blockpull::job {

/// What a work item does at the moment.
enum class Phase : std::uint8_t {
  kMoving,
  /// Held still, for example while its guest is migrated or saved.
  kPaused,
  /// Everything is moved; it waits for who makes the end durable and changes the header.
  kPending,
};

/// What a work item tells while it goes on; read from any thread without a lock.
struct Board {
  /// Guest bytes settled, of Work::total().
  std::atomic<std::uint64_t> settled{0};
  /// Guest bytes whose reads were issued, and how many it will be.
  std::atomic<std::uint64_t> moved{0};
  std::atomic<std::uint64_t> to_move{0};
  /// A literal: "io_uring", "threads", "none".
  std::atomic<const char*> method{"none"};
  /// The error on which it waits to be resumed.
  std::atomic<std::optional<ErrorKind>> stopped_on{};
  std::atomic<Phase> phase{Phase::kMoving};
  /// For how long whoever does the work, a guest's QEMU, has left a question unanswered; 0: it
  /// answers.
  std::atomic<std::uint64_t> silent_ns{0};
};

/// Bytes behind an image that are not its own.
struct Trailing {
  /// Where they were when the work began.
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// What a work item ends with.
struct Ending {
  /// Absent: completed. kCancelled: stopped as asked.
  std::optional<Error> error;
  /// Files that are no longer needed; only when completed.
  std::vector<std::string> released;
  /// What went wrong beside the job; none, where only the others are given.
  std::vector<std::string> warnings = {};
  /// Completed, and by another road than the work's own it was read back from the disk that nothing
  /// is missing there and that the header states the new chain. A warning says why it was not.
  bool verified = false;
  /// Completed, and flushed by a way that tells of a failure. A warning says why it was not.
  bool durable = false;
  /// What was behind the image and was, as asked, kept or discarded; absent: nothing.
  std::optional<Trailing> trailing = {};
};

enum class Stop : std::uint8_t {
  /// Keep what has been moved, give back what was reserved, end at a consistent point.
  kCancel,
  /// The connection is closed: a job of ours ends as with kCancel; one that QEMU does goes on
  /// there, and its work item lets go of it (kClosed).
  kLeave,
  /// The process ends: issue nothing more, wait for what is in flight, change no metadata. What
  /// QEMU does goes on.
  kAbandon,
};

class Work {
 public:
  virtual ~Work() = default;

  [[nodiscard]] virtual Kind kind() const = 0;

  /// Guest bytes that will be settled in the end; from any thread.
  [[nodiscard]] virtual std::uint64_t total() const = 0;

  virtual void start(Host& host, Board& board, std::function<void(Ending)> done) = 0;
  virtual void stop(Stop how) = 0;
  /// 0 lifts the limit. May come before start.
  virtual void set_bandwidth(std::uint64_t bandwidth) = 0;
  /// The same for who wants to know whether it is in force: somebody else may do the work, and
  /// refuse. `done` runs once, on any thread.
  virtual void try_bandwidth(std::uint64_t bandwidth, std::function<void(Result<void>)> done) {
    set_bandwidth(bandwidth);
    done({});
  }
  /// Goes on where it stopped on an error; nothing to do for one that has not. `done` runs once, on
  /// any thread. Our own engine never stops so.
  virtual void resume(std::function<void(Result<void>)> done) { done({}); }
  /// From now on an error that it would stop on, or has stopped on, ends it.
  virtual void fail_rather_than_stop() {}
};

}  // namespace blockpull::job
