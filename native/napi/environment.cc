// SPDX-License-Identifier: Apache-2.0
//
// Hooks run in the reverse order of their creation. Node made the dispatcher's own hook with the
// dispatcher, so it runs after ours: posts stop before the function that they go to is gone.

#include "napi/environment.h"

#include <array>
#include <utility>

#include "napi/results.h"

namespace blockpull::napi {
namespace {

napi_value on_exit(napi_env env, napi_callback_info /*info*/) {
  Environment::of(env).abandon();
  return nullptr;
}

/// process.once('exit', on_exit)
bool hook_exit(napi_env env) {
  napi_value global = nullptr;
  napi_value process = nullptr;
  napi_value once = nullptr;
  napi_value listener = nullptr;
  napi_value result = nullptr;
  if (napi_get_global(env, &global) != napi_ok ||
      napi_get_named_property(env, global, "process", &process) != napi_ok ||
      napi_get_named_property(env, process, "once", &once) != napi_ok ||
      napi_create_function(env, "blockpullExit", NAPI_AUTO_LENGTH, &on_exit, nullptr, &listener) !=
          napi_ok) {
    return false;
  }
  const std::array<napi_value, 2> arguments{make_text(env, "exit"), listener};
  return napi_call_function(env, process, once, arguments.size(), arguments.data(), &result) ==
         napi_ok;
}

}  // namespace

Environment::Environment(std::shared_ptr<Dispatcher> dispatcher)
    : dispatcher_(std::move(dispatcher)),
      jobs_(std::make_shared<virt::LiveJobs>()),
      ticker_(std::make_shared<ProgressTicker>(
          dispatcher_, [](napi_env env) { Environment::of(env).tick(); })) {}

bool Environment::create(napi_env env) {
  auto dispatcher = Dispatcher::create(env);
  if (dispatcher == nullptr) {
    return false;
  }
  auto* const environment = new Environment(std::move(dispatcher));
  const Napi::Env wrapped(env);
  wrapped.SetInstanceData(environment);
  return napi_add_env_cleanup_hook(
             env, [](void* data) { static_cast<Environment*>(data)->tear_down(); }, environment) ==
             napi_ok &&
         hook_exit(env);
}

Environment& Environment::of(napi_env env) {
  return *Napi::Env(env).GetInstanceData<Environment>();
}

virt::Failure Environment::ending() {
  return virt::plain(make_error(ErrorKind::kClosed, "process is ending; no call can be made"));
}

virt::Result<std::shared_ptr<job::Engine>> Environment::engine() {
  const std::lock_guard lock(mutex_);
  if (is_ending_) {
    return ending();
  }
  if (engine_ == nullptr) {
    BLOCKPULL_TRY(engine, virt::lifted(job::Engine::shared(), &virt::plain));
    engine_ = std::move(engine);
  }
  return engine_;
}

std::function<void(const job::Outcome&)> Environment::listener(
    const std::shared_ptr<JobChannel>& channel) const {
  return [dispatcher = dispatcher_, weak = std::weak_ptr(channel)](const job::Outcome& outcome) {
    dispatcher->post([weak, outcome](napi_env /*env*/) {
      if (const auto told = weak.lock()) {
        told->finish(outcome);
      }
    });
  };
}

void Environment::attach(const std::shared_ptr<JobChannel>& channel,
                         std::shared_ptr<job::Job> job) {
  forget_what_is_over();
  channels_.push_back(channel);
  channel->attach(std::move(job));
  const std::lock_guard lock(mutex_);
  if (engine_ != nullptr) {
    ticker_->start(*engine_);
  }
}

void Environment::keep(std::shared_ptr<virt::Connect> connection,
                       std::shared_ptr<EventChannel> events) {
  forget_what_is_over();
  connections_.push_back({std::move(connection), std::move(events)});
}

std::uint64_t Environment::keep_until_answer(std::shared_ptr<void> kept) {
  const std::uint64_t ticket = next_awaited_++;
  awaited_.emplace(ticket, std::move(kept));
  return ticket;
}

std::shared_ptr<void> Environment::take_kept(std::uint64_t ticket) {
  const auto node = awaited_.extract(ticket);
  return node.empty() ? nullptr : node.mapped();
}

/// Iterates over a copy, since callbacks may start jobs and close connections.
void Environment::tick() {
  const auto channels = channels_;
  for (const auto& channel : channels) {
    channel->tick();
  }
  forget_what_is_over();
  if (channels_.empty()) {
    ticker_->stop();
  }
}

void Environment::forget_what_is_over() {
  std::erase_if(channels_, [](const auto& channel) { return channel->is_over(); });
  std::erase_if(connections_, [](const Kept& kept) {
    return kept.connection.use_count() == 1 && kept.connection->driver().is_idle();
  });
}

void Environment::abandon() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  jobs_->close(job::Stop::kAbandon);
  calls_->close();
  for (const Kept& kept : connections_) {
    kept.connection->driver().abandon();
  }
  jobs_->wait_until_idle();
  for (const Kept& kept : connections_) {
    kept.connection->driver().wait_until_idle();
  }
}

void Environment::tear_down() {
  abandon();
  ticker_->stop();
  dispatcher_->close();
  for (const auto& channel : channels_) {
    channel->close();
  }
  for (const Kept& kept : connections_) {
    kept.events->close();
  }
  awaited_.clear();
  channels_.clear();
  connections_.clear();
  std::shared_ptr<job::Engine> engine;
  const std::lock_guard lock(mutex_);
  engine.swap(engine_);
}

}  // namespace blockpull::napi
