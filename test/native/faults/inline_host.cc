// SPDX-License-Identifier: Apache-2.0
//
// Anything that runs here may add work, so each entry leaves its queue before it runs.

#include "faults/inline_host.h"

#include <algorithm>
#include <span>
#include <utility>

namespace blockpull::faults {

void InlineQueue::run(std::size_t index) {
  io::Request& request = *pending_[index];
  pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(index));
  const std::span<std::byte> bytes(request.buffer, request.length);
  Result<void> result = request.op == io::Request::Op::kRead
                            ? request.file->read_at(request.offset, bytes)
                            : request.file->write_at(request.offset, bytes);
  // Moved out first, since its maker may destroy the request in the call.
  const auto done = std::move(request.done);
  done(std::move(result));
}

void InlineQueue::wait(Nanoseconds) {
  for (std::size_t left = pending_.size(); left > 0; --left) {
    run(0);
  }
}

void InlineHost::run_blocking(std::function<void()> work, std::function<void()> then) {
  blocking_.push_back({std::move(work), std::move(then)});
}

std::uint64_t InlineHost::call_at(Nanoseconds when, std::function<void()> callback) {
  timers_.emplace(when, Timer{next_ticket_, std::move(callback)});
  return next_ticket_++;
}

void InlineHost::cancel_call(std::uint64_t ticket) {
  std::erase_if(timers_, [ticket](const auto& entry) { return entry.second.ticket == ticket; });
}

bool InlineHost::step() {
  if (!posted_.empty()) {
    const auto callback = std::move(posted_.front());
    posted_.pop_front();
    callback();
    return true;
  }
  const std::size_t choices = queue_.pending() + blocking_.size();
  if (choices > 0) {
    const std::size_t choice = shuffles_ ? random_() % choices : 0;
    if (choice < queue_.pending()) {
      queue_.run(choice);
    } else {
      run_blocking_call(choice - queue_.pending());
    }
    return true;
  }
  if (timers_.empty()) {
    return false;
  }
  run_timer();
  return true;
}

void InlineHost::run_blocking_call(std::size_t index) {
  BlockingCall call = std::move(blocking_[index]);
  blocking_.erase(blocking_.begin() + static_cast<std::ptrdiff_t>(index));
  call.work();
  call.work = nullptr;
  post(std::move(call.then));
}

void InlineHost::run_timer() {
  const auto first = timers_.begin();
  clock_.set(std::max(clock_.now(), first->first));
  const auto callback = std::move(first->second.callback);
  timers_.erase(first);
  callback();
}

}  // namespace blockpull::faults
