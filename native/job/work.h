// SPDX-License-Identifier: Apache-2.0
//
// The interface between a job and what it moves. A driver implements Work; that is all that `job.h`
// knows of it.
//
//     start ─▶ callbacks on the host's thread, a few ms each at most ─▶ finish, exactly once
//     stop  ───────────────────── soon after, or already on its way ──────────▲
//
// Thread rule: every call on the host's thread. It is destroyed on a thread that may block, before
// the job's end is announced, so files are closed and locks released by then.

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

/// What a work item is doing now.
enum class Phase : std::uint8_t {
  kMoving,
  /// Paused, for example while its guest is migrated or saved.
  kPaused,
  /// Everything is moved; it waits until the end is made durable and the header changed.
  kPending,
};

/// The progress counters of a work item; read from any thread without a lock.
struct ProgressCounters {
  /// Guest bytes settled, of Work::total().
  std::atomic<std::uint64_t> settled{0};
  /// Guest bytes whose reads were issued, and how many there will be.
  std::atomic<std::uint64_t> moved{0};
  std::atomic<std::uint64_t> to_move{0};
  /// A literal: "io_uring", "threads", "none".
  std::atomic<const char*> method{"none"};
  /// The error on which it stopped.
  std::atomic<std::optional<ErrorKind>> stopped_on{};
  std::atomic<Phase> phase{Phase::kMoving};
  /// For how long QEMU, if it does the work, has not answered a query; 0: it answers.
  std::atomic<std::uint64_t> silent_ns{0};
};

/// Bytes behind an image that do not belong to it.
struct Trailing {
  /// Their offset when the work began.
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// The outcome of a work item.
struct Ending {
  /// Absent: completed. kCancelled: stopped on request.
  std::optional<Error> error;
  /// Files that are no longer needed; only if completed.
  std::vector<std::string> released;
  /// Problems beside the job itself.
  std::vector<std::string> warnings = {};
  /// Completed, and read back from the disk in another way than it was written: nothing is missing,
  /// and the header states the new chain. If false, a warning says why.
  bool verified = false;
  /// Completed, and flushed in a way that reports a failure. If false, a warning says why.
  bool durable = false;
  /// The bytes behind the image that were kept or discarded, as requested; absent: none.
  std::optional<Trailing> trailing = {};
};

enum class Stop : std::uint8_t {
  /// Keep what has been moved, release what was reserved, end at a consistent point.
  kCancel,
  /// The connection closes. A job of ours ends as with kCancel. A job of QEMU's continues there,
  /// and its work item releases it (kClosed).
  kLeave,
  /// The process ends: issue nothing more, wait for what is in flight, change no metadata. QEMU's
  /// jobs continue.
  kAbandon,
};

class Work {
 public:
  virtual ~Work() = default;

  [[nodiscard]] virtual Kind kind() const = 0;

  /// Guest bytes that will be settled at the end; from any thread.
  [[nodiscard]] virtual std::uint64_t total() const = 0;

  virtual void start(Host& host, ProgressCounters& counters, std::function<void(Ending)> done) = 0;
  virtual void stop(Stop how) = 0;
  /// 0 lifts the limit. May be called before start.
  virtual void set_bandwidth(std::uint64_t bandwidth) = 0;
  /// Like set_bandwidth(), but reports whether the limit was accepted; QEMU may refuse. `done` is
  /// called once, on any thread.
  virtual void try_bandwidth(std::uint64_t bandwidth, std::function<void(Result<void>)> done) {
    set_bandwidth(bandwidth);
    done({});
  }
  /// Continues a job that stopped on an error; does nothing to any other. `done` is called once, on
  /// any thread. Our own engine never stops on an error.
  virtual void resume(std::function<void(Result<void>)> done) { done({}); }
  /// From now on an error on which it would stop, or has stopped, ends it.
  virtual void fail_rather_than_stop() {}
};

}  // namespace blockpull::job
