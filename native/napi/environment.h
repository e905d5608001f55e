// SPDX-License-Identifier: Apache-2.0
//
// Everything that belongs to one JavaScript environment (the main thread, or one worker).
// Environments share only the engine, which is counted.
//
// An environment ends in two ways. Both abandon the jobs, wait for what is in flight, and never
// call JavaScript:
//
//     'exit' event    process.exit(), for which Node runs no cleanup hook; the end of the main
//                     script
//     cleanup hook    a worker that ends or is terminated; the end of the main environment
//
// Thread rule: the JavaScript thread, but for engine(), calls(), jobs() and is_ending().

#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include <napi.h>

#include "job/engine.h"
#include "napi/blocking_calls.h"
#include "napi/dispatcher.h"
#include "napi/event_channel.h"
#include "napi/progress_ticker.h"
#include "virt/calls/connect.h"

namespace blockpull::napi {

class Environment {
 public:
  /// Creates the environment's data and registers for its end. False with an exception pending.
  [[nodiscard]] static bool create(napi_env env);
  [[nodiscard]] static Environment& of(napi_env env);

  explicit Environment(std::shared_ptr<Dispatcher> dispatcher);

  [[nodiscard]] const std::shared_ptr<Dispatcher>& dispatcher() const { return dispatcher_; }

  /// The engine, created at the first call; this environment holds it until its end. Any thread.
  [[nodiscard]] virt::Result<std::shared_ptr<job::Engine>> engine();

  /// The calls of this environment. Any thread.
  [[nodiscard]] const std::shared_ptr<BlockingCalls>& calls() const { return calls_; }

  /// The jobs on bare images. Any thread.
  [[nodiscard]] const std::shared_ptr<virt::LiveJobs>& jobs() const { return jobs_; }

  /// Long calls check this between their steps. Any thread.
  [[nodiscard]] bool is_ending() const { return is_ending_; }

  /// The failure of calls after that.
  [[nodiscard]] static virt::Failure ending();

  /// The listener for a job's end, on the engine's thread; it passes the outcome to the channel.
  [[nodiscard]] std::function<void(const job::Outcome&)> listener(
      const std::shared_ptr<JobChannel>& channel) const;
  /// The job of the channel runs: from now on its progress is reported.
  void attach(const std::shared_ptr<JobChannel>& channel, std::shared_ptr<job::Job> job);

  /// Connections are kept here, since a job outlives objects that JavaScript has dropped.
  void keep(std::shared_ptr<virt::Connect> connection, std::shared_ptr<EventChannel> events);

  /// Keeps what an answer will need, and must not be destroyed on another thread, until
  /// take_kept().
  [[nodiscard]] std::uint64_t keep_until_answer(std::shared_ptr<void> kept);
  /// nullptr if there is none.
  [[nodiscard]] std::shared_ptr<void> take_kept(std::uint64_t ticket);

  /// Abandons the jobs of this environment; blocks until nothing of theirs is in flight.
  void abandon();

 private:
  struct Kept {
    std::shared_ptr<virt::Connect> connection;
    std::shared_ptr<EventChannel> events;
  };

  void tick();
  void forget_what_is_over();
  void tear_down();

  const std::shared_ptr<Dispatcher> dispatcher_;
  const std::shared_ptr<BlockingCalls> calls_ = std::make_shared<BlockingCalls>();
  const std::shared_ptr<virt::LiveJobs> jobs_;
  const std::shared_ptr<ProgressTicker> ticker_;
  std::atomic<bool> is_ending_{false};
  std::vector<std::shared_ptr<JobChannel>> channels_;
  std::vector<Kept> connections_;
  std::map<std::uint64_t, std::shared_ptr<void>> awaited_;
  std::uint64_t next_awaited_ = 1;

  /// Guards engine_.
  std::mutex mutex_;
  std::shared_ptr<job::Engine> engine_;
};

}  // namespace blockpull::napi
