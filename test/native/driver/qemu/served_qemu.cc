// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/served_qemu.h"

#include <utility>

namespace blockpull::driver::qemu {

ServedQemu::ServedQemu(const std::string& path) : server_(path), thread_([this] { serve(); }) {}

void ServedQemu::hold(const std::string& command) {
  const std::lock_guard lock(mutex_);
  held_ = command;
}

bool ServedQemu::wait_until_held() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [this] { return is_held_; });
}

void ServedQemu::release() {
  const std::lock_guard lock(mutex_);
  is_held_ = false;
  changed_.notify_all();
}

void ServedQemu::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    if (client_) {
      client_->shut_down();
    }
    changed_.notify_all();
  }
  if (thread_.joinable()) {
    thread_.join();
  }
}

void ServedQemu::serve() {
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (is_stopping_) {
        break;
      }
    }
    if (!server_.has_waiting(std::chrono::milliseconds(20))) {
      continue;
    }
    auto accepted = server_.accept();
    {
      const std::lock_guard lock(mutex_);
      client_ = std::move(accepted);
      if (is_stopping_) {
        break;
      }
    }
    serve_client();
    const std::lock_guard lock(mutex_);
    client_.reset();
  }
  server_.stop();
  const std::lock_guard lock(mutex_);
  client_.reset();
}

void ServedQemu::serve_client() {
  client_->say(qmp::kGreetingText);
  {
    // Events that nobody was connected to receive.
    const std::lock_guard lock(mutex_);
    qemu_.events.clear();
  }
  while (const auto request = client_->read_or_end()) {
    answer(*request);
  }
}

void ServedQemu::answer(const qmp::Request& request) {
  std::unique_lock lock(mutex_);
  if (request.name == held_) {
    held_.clear();
    is_held_ = true;
    changed_.notify_all();
    changed_.wait_for(lock, kPatience, [this] { return !is_held_ || is_stopping_; });
  }
  if (request.name == "qmp_capabilities") {
    client_->answer(request, "{}");
  } else if (request.name == "query-commands") {
    client_->answer(request, qemu_.commands());
  } else {
    const auto value = qemu_.execute(request.name, request.arguments);
    for (; !qemu_.events.empty(); qemu_.events.pop_front()) {
      client_->tell(qemu_.events.front().name, qemu_.events.front().data);
    }
    if (value.ok()) {
      client_->answer(request, *value);
    } else {
      client_->refuse(request, value.error().qemu->error_class, value.error().message);
    }
  }
  changed_.notify_all();
}

}  // namespace blockpull::driver::qemu
