// SPDX-License-Identifier: Apache-2.0
//
// Everything that one JavaScript environment (the main thread, or one worker) has: nothing here is
// shared with another one but the engine, which is counted.
//
// Two ways to the end, and both abandon the jobs, wait for what is in flight, and never call
// JavaScript:
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
#include "napi/calls.h"
#include "napi/dispatcher.h"
#include "napi/event_channel.h"
#include "napi/progress_ticker.h"
#include "virt/calls/connect.h"

namespace blockpull::napi {

class Environment {
 public:
  /// Makes the environment's data and hooks it into its end. False: an exception is pending.
  [[nodiscard]] static bool create(napi_env env);
  [[nodiscard]] static Environment& of(napi_env env);

  explicit Environment(std::shared_ptr<Dispatcher> dispatcher);

  [[nodiscard]] const std::shared_ptr<Dispatcher>& dispatcher() const { return dispatcher_; }

  /// The engine, made when first asked for; this environment holds it until its end. Any thread.
  [[nodiscard]] virt::Result<std::shared_ptr<job::Engine>> engine();

  /// The calls of this environment. Any thread.
  [[nodiscard]] const std::shared_ptr<Calls>& calls() const { return calls_; }

  /// The jobs on bare images. Any thread.
  [[nodiscard]] const std::shared_ptr<virt::LiveJobs>& jobs() const { return jobs_; }

  /// Long calls look here between their steps. Any thread.
  [[nodiscard]] bool is_ending() const { return is_ending_; }

  /// What calls fail with from then on.
  [[nodiscard]] static virt::Failure ending();

  /// What a job tells its end to, on the engine's thread, so that the channel hears of it.
  [[nodiscard]] std::function<void(const job::Outcome&)> listener(
      const std::shared_ptr<JobChannel>& channel) const;
  /// Its job runs: from now on it is told about.
  void attach(const std::shared_ptr<JobChannel>& channel, std::shared_ptr<job::Job> job);

  /// Connections live here too, since a job outlives the objects that JavaScript has dropped.
  void keep(std::shared_ptr<virt::Connect> connection, std::shared_ptr<EventChannel> events);

  /// Keeps what an answer will need, and must not be destroyed elsewhere, until take_kept().
  [[nodiscard]] std::uint64_t keep_until_answer(std::shared_ptr<void> kept);
  /// nullptr when there is no such thing.
  [[nodiscard]] std::shared_ptr<void> take_kept(std::uint64_t ticket);

  /// Ends the jobs of this environment; blocks until nothing of theirs is in flight.
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
  const std::shared_ptr<Calls> calls_ = std::make_shared<Calls>();
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
