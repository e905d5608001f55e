// SPDX-License-Identifier: Apache-2.0
//
// Calls back into JavaScript from a task of the dispatcher. An exception of one callback must not
// prevent the next one, so it is cleared here and handed to Node as an uncaught exception.

#include "napi/event_channel.h"

#include <utility>

#include "napi/results.h"

namespace blockpull::napi {
namespace {

/// Silence is reported in whole seconds.
std::uint64_t silent_seconds(const job::Progress& progress) {
  return progress.silent_ns / 1'000'000'000;
}

bool is_news(const job::Progress& now, const job::Progress& before) {
  return now.state != before.state || now.settled != before.settled || now.moved != before.moved ||
         now.bytes_per_second != before.bytes_per_second || now.bandwidth != before.bandwidth ||
         now.to_move != before.to_move || now.stopped_on != before.stopped_on ||
         now.phase != before.phase || silent_seconds(now) != silent_seconds(before);
}

}  // namespace

EventChannel::EventChannel(napi_env env, napi_value callback)
    : env_(env), callback_(Napi::Persistent(Napi::Function(env, callback))) {}

void EventChannel::send(napi_value argument) {
  if (callback_.IsEmpty() || argument == nullptr) {
    return;
  }
  const napi_value callback = callback_.Value();
  napi_value result = nullptr;
  if (napi_call_function(env_, make_undefined(env_), callback, 1, &argument, &result) ==
      napi_pending_exception) {
    napi_value exception = nullptr;
    if (napi_get_and_clear_last_exception(env_, &exception) == napi_ok) {
      napi_fatal_exception(env_, exception);
    }
  }
}

JobChannel::JobChannel(napi_env env, napi_value callback, std::shared_ptr<Dispatcher> dispatcher)
    : env_(env), events_(env, callback), dispatcher_(std::move(dispatcher)) {}

void JobChannel::attach(std::shared_ptr<job::Job> job) {
  job_ = std::move(job);
  ref();
  if (early_) {
    dispatcher_->post([weak = weak_from_this()](napi_env /*env*/) {
      if (const auto channel = weak.lock(); channel != nullptr && channel->early_) {
        channel->finish(*std::exchange(channel->early_, std::nullopt));
      }
    });
  }
}

void JobChannel::tick() {
  if (job_ == nullptr || early_ || is_over()) {
    return;
  }
  const job::Progress now = job_->progress();
  // The end is reported with its outcome, which then is on its way.
  if (job::has_ended(now.state) || (last_ && !is_news(now, *last_))) {
    return;
  }
  last_ = now;
  events_.send(make_update(env_, now, nullptr));
}

void JobChannel::finish(const job::Outcome& outcome) {
  if (job_ == nullptr) {
    early_ = outcome;
    return;
  }
  unref();
  events_.send(make_update(env_, job_->progress(), &outcome));
  events_.close();
}

void JobChannel::close() {
  events_.close();
}

void JobChannel::ref() {
  if (!is_holding_ && !is_over()) {
    is_holding_ = true;
    dispatcher_->hold();
  }
}

void JobChannel::unref() {
  if (std::exchange(is_holding_, false)) {
    dispatcher_->release();
  }
}

}  // namespace blockpull::napi
