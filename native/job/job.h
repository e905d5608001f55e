// SPDX-License-Identifier: Apache-2.0
//
// One job, as everybody but the engine sees it.
//
//     start ─▶ running ────────────┬─▶ completed    no error, also when a stop came too late
//                 │                ├─▶ failed       any error but those below
//                 │                ├─▶ unknown      kJobVanished, kClosed, kMonitorTimeout: its
//                 │                │                end was not seen
//                 │                │
//                 └ stop ─▶ aborting ─▶ cancelled   kCancelled
//
// Progress is read from atomics: asking never waits for the job. The listener hears of the end
// once, after the files are closed and the locks are gone, and of nothing after it.
//
// Thread rule: every public call from any thread. The listener runs on the engine's thread and must
// not block.

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
  /// The error on which it waits to be resumed.
  std::optional<ErrorKind> stopped_on;
  Phase phase = Phase::kMoving;
  /// For how long whoever does the work has not answered; 0: it answers.
  std::uint64_t silent_ns = 0;
};

struct Outcome {
  Kind kind = Kind::kPull;
  State state = State::kFailed;
  /// Absent when and only when completed.
  std::optional<Error> error;
  std::uint64_t bytes_moved = 0;
  double seconds = 0;
  const char* method = "none";
  std::vector<std::string> released;
  /// What went wrong beside the job.
  std::vector<std::string> warnings;
  /// Ending::verified and Ending::durable; both false unless completed.
  bool verified = false;
  bool durable = false;
  /// Ending::trailing, whatever the end.
  std::optional<Trailing> trailing = {};
};

/// Takes an outcome, and gives it back, once and on the same thread, when it is judged.
using EndJudge = std::function<void(Outcome, std::function<void(Outcome)>)>;

struct JobOptions {
  /// Bytes a second, 0 for no limit.
  std::uint64_t bandwidth = 0;
  /// Runs on a thread that may block, when the work is over and its files are closed, before the
  /// end is told; may add warnings, not change the state.
  std::function<void(Outcome&)> before_end;
  /// Runs on the host's thread after that, and may take its time without holding a thread; the end
  /// is told when it gives the outcome back. May change what was released and add warnings.
  EndJudge judge_end;
  /// Hears the end.
  std::function<void(const Outcome&)> on_end;
};

class Job : public std::enable_shared_from_this<Job> {
 public:
  /// Hands `work` to the host, which must outlive the job. The claim keeps other jobs off the disk
  /// until the end.
  [[nodiscard]] static std::shared_ptr<Job> start(Host& host, std::shared_ptr<Work> work,
                                                  Registry::Claim claim, JobOptions options);
  ~Job();

  [[nodiscard]] Progress progress() const;
  /// Present once the job has ended.
  [[nodiscard]] std::optional<Outcome> outcome() const;

  /// Asks for the end; a second call, or one after the end, does nothing (kAbandon overrides
  /// kCancel).
  void stop(Stop how);
  void set_bandwidth(std::uint64_t bandwidth);
  /// The same; `done` hears, on any thread, whether it is in force. kNoJob: the job had ended.
  void try_bandwidth(std::uint64_t bandwidth, std::function<void(Result<void>)> done);
  /// Work::resume. kNoJob: the job had ended.
  void resume(std::function<void(Result<void>)> done);
  /// Work::fail_rather_than_stop.
  void fail_rather_than_stop();

  /// Calls `done` once the listener has heard of the end, on the engine's thread; at once, on this
  /// one, when that is over. It must not block.
  void when_ended(std::function<void()> done);

 private:
  Job(Host& host, std::shared_ptr<Work> work, Registry::Claim claim, JobOptions options);
  void begin();
  void work_finished(Ending ending);
  void close_work(const Ending& ending);
  void judge();
  void announce();
  void sample_rate();

  Host& host_;
  std::shared_ptr<Work> work_;
  Registry::Claim claim_;
  /// The work may be closed before these are asked for again.
  const Kind kind_;
  const std::uint64_t total_;
  JobOptions options_;
  Board board_;
  std::atomic<State> state_{State::kRunning};
  std::atomic<std::uint64_t> bandwidth_;
  std::atomic<std::uint64_t> rate_{0};
  const Nanoseconds started_;
  Nanoseconds sampled_at_;
  std::uint64_t sampled_moved_ = 0;
  std::uint64_t sample_ticket_ = 0;
  /// Host's thread: the work item has called finish.
  bool finished_ = false;

  /// Guards what follows.
  mutable std::mutex mutex_;
  bool ended_ = false;
  std::vector<std::function<void()>> waiting_;
  Outcome outcome_;
};

}  // namespace blockpull::job
