// SPDX-License-Identifier: Apache-2.0
//
// One job, as everybody but the engine sees it.
//
//     start ─▶ running ────────────┬─▶ completed    no error, also if a stop came too late
//                 │                ├─▶ failed       any error but those below
//                 │                ├─▶ unknown      kJobVanished, kClosed, kMonitorTimeout: nobody
//                 │                │                saw its end
//                 │                │
//                 └ stop ─▶ aborting ─▶ cancelled   kCancelled
//
// Progress is read from atomics, so a query never waits for the job. The listener is notified of
// the end once, after the files are closed and the locks are released, and of nothing after it.
//
// Thread rule: any thread may make any public call. The listener runs on the engine's thread and
// must not block.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "job/registry.h"
#include "job/work.h"

namespace blockpull::job {

enum class State : std::uint8_t { kRunning, kAborting, kCompleted, kFailed, kCancelled, kUnknown };

/// "running", "aborting", "completed", "failed", "cancelled", "unknown".
[[nodiscard]] const char* state_name(State state);
[[nodiscard]] inline bool has_ended(State state) {
  return state >= State::kCompleted;
}

struct Progress {
  Kind kind = Kind::kPull;
  State state = State::kRunning;
  std::uint64_t settled = 0;
  std::uint64_t total = 0;
  std::uint64_t moved = 0;
  std::uint64_t to_move = 0;
  /// Average over the last half second.
  std::uint64_t bytes_per_second = 0;
  /// The limit in force: bytes a second, 0 for no limit.
  std::uint64_t bandwidth = 0;
  const char* method = "none";
  /// The error on which it stopped.
  std::optional<ErrorKind> stopped_on;
  Phase phase = Phase::kMoving;
  /// For how long QEMU, if it does the work, has not answered; 0: it answers.
  std::uint64_t silent_ns = 0;
};

struct Outcome {
  Kind kind = Kind::kPull;
  State state = State::kFailed;
  /// Absent exactly if the job completed.
  std::optional<Error> error;
  std::uint64_t bytes_moved = 0;
  double seconds = 0;
  const char* method = "none";
  std::vector<std::string> released;
  /// Problems beside the job itself.
  std::vector<std::string> warnings;
  /// Ending::verified and Ending::durable; both are false unless the job completed.
  bool verified = false;
  bool durable = false;
  /// Ending::trailing, for any outcome.
  std::optional<Trailing> trailing = {};
};

/// Takes an outcome, and gives it back once, on the same thread, when its released files are known.
using EndJudge = std::function<void(Outcome, std::function<void(Outcome)>)>;

struct JobOptions {
  /// Bytes a second, 0 for no limit.
  std::uint64_t bandwidth = 0;
  /// Runs on a thread that may block, after the work is over and its files are closed, and before
  /// the end is reported. It may add warnings, but not change the state.
  std::function<void(Outcome&)> before_end;
  /// Runs on the host's thread after that. It may take long without holding a thread; the end is
  /// reported when it gives the outcome back. It may change what was released and add warnings.
  EndJudge judge_end;
  /// Called with the outcome at the end.
  std::function<void(const Outcome&)> on_end;
};

class Job : public std::enable_shared_from_this<Job> {
 public:
  /// Hands `work` to the host, which must outlive the job. The claim keeps other jobs away from the
  /// disk until the end.
  [[nodiscard]] static std::shared_ptr<Job> start(Host& host, std::shared_ptr<Work> work,
                                                  Registry::Claim claim, JobOptions options);
  ~Job();

  [[nodiscard]] Progress progress() const;
  /// Present once the job has ended.
  [[nodiscard]] std::optional<Outcome> outcome() const;

  /// Asks the job to end. A second call, or one after the end, does nothing (kAbandon overrides
  /// kCancel).
  void stop(Stop how);
  void set_bandwidth(std::uint64_t bandwidth);
  /// Like set_bandwidth(), but calls `done`, on any thread, with whether the limit was accepted.
  /// kNoJob: the job had ended.
  void try_bandwidth(std::uint64_t bandwidth, std::function<void(Result<void>)> done);
  /// Work::resume. kNoJob: the job had ended.
  void resume(std::function<void(Result<void>)> done);
  /// Work::fail_rather_than_stop.
  void fail_rather_than_stop();

  /// Calls `done` on the engine's thread once the listener has been notified of the end. If it has
  /// been already, calls it at once, on this thread. `done` must not block.
  void when_ended(std::function<void()> done);

 private:
  Job(Host& host, std::shared_ptr<Work> work, Registry::Claim claim, JobOptions options);
  void begin();
  /// Runs `call` on the host's thread, not before the work has begun; with nullptr once the work is
  /// done.
  void post(std::function<void(Work*)> call);
  void work_finished(Ending ending);
  void close_work(const Ending& ending);
  void judge();
  void announce();
  void sample_rate();

  Host& host_;
  std::shared_ptr<Work> work_;
  Registry::Claim claim_;
  /// Kept because the work may be closed before the total is asked for again.
  const Kind kind_;
  const std::uint64_t total_;
  JobOptions options_;
  ProgressCounters counters_;
  std::atomic<State> state_{State::kRunning};
  std::atomic<std::uint64_t> bandwidth_;
  std::atomic<std::uint64_t> rate_{0};
  const Nanoseconds started_;
  Nanoseconds sampled_at_;
  std::uint64_t sampled_moved_ = 0;
  std::uint64_t sample_ticket_ = 0;
  /// Host's thread only: the work has begun, and what was asked of it before.
  bool has_begun_ = false;
  std::vector<std::function<void(Work*)>> early_;
  /// Host's thread only: the work item is done.
  bool finished_ = false;

  /// Guards everything below.
  mutable std::mutex mutex_;
  bool ended_ = false;
  std::vector<std::function<void()>> waiting_;
  Outcome outcome_;
};

}  // namespace blockpull::job
