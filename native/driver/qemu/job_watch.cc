// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/job_watch.h"

#include <utility>

#include "core/qmp/commands.h"

namespace blockpull::driver::qemu {
namespace {

std::optional<JobEnd> end_in(const qmp::Event& event, const std::string& job_id) {
  const bool was_cancelled = event.name == "BLOCK_JOB_CANCELLED";
  if ((!was_cancelled && event.name != "BLOCK_JOB_COMPLETED") ||
      event.data.member("device").text() != job_id) {
    return std::nullopt;
  }
  return JobEnd{was_cancelled, event.data.member("error").text()};
}

/// The guest was stopped or continued; a migration does both.
bool is_switch(const qmp::Event& event) {
  return event.name == "STOP" || event.name == "RESUME";
}

}  // namespace

std::shared_ptr<JobWatch> JobWatch::begin(std::shared_ptr<qmp::Monitor> monitor,
                                          const std::string& job_id) {
  auto watch = std::shared_ptr<JobWatch>(new JobWatch(std::move(monitor)));
  qmp::Listener listener;
  listener.on_event = [weak = std::weak_ptr(watch), job_id](const qmp::Event& event) {
    if (const auto self = weak.lock()) {
      self->hear(event, job_id);
    }
  };
  listener.on_link = [weak = std::weak_ptr(watch)](qmp::Link link) {
    if (const auto self = weak.lock()) {
      self->hear(link);
    }
  };
  watch->listener_ = watch->monitor_->listen(std::move(listener));
  return watch;
}

JobWatch::~JobWatch() {
  monitor_->ignore(listener_);
}

void JobWatch::hear(const qmp::Event& event, const std::string& job_id) {
  auto end = end_in(event, job_id);
  {
    const std::lock_guard lock(mutex_);
    switches_ += is_switch(event) ? 1 : 0;
    is_shutdown_ = is_shutdown_ || event.name == "SHUTDOWN";
    if (end) {
      end->is_shutdown = is_shutdown_;
      end_ = end;
    }
  }
  if (end || is_switch(event) || qmp::changed_job(event) == job_id) {
    tell();
  }
}

void JobWatch::hear(qmp::Link link) {
  {
    const std::lock_guard lock(mutex_);
    is_qemu_gone_ = link == qmp::Link::kGone;
    switches_ += link == qmp::Link::kLost ? 2 : 0;
  }
  if (link != qmp::Link::kLost) {
    tell();
  }
}

void JobWatch::tell() {
  std::function<void()> on_news;
  {
    const std::lock_guard lock(mutex_);
    on_news = on_news_;
  }
  if (on_news) {
    on_news();
  }
}

void JobWatch::on_news(std::function<void()> on_news) {
  const std::lock_guard lock(mutex_);
  on_news_ = std::move(on_news);
}

std::optional<JobEnd> JobWatch::end() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

void JobWatch::begin_poll() {
  const std::lock_guard lock(mutex_);
  switches_at_poll_ = switches_;
}

std::uint64_t JobWatch::end_poll() {
  const std::lock_guard lock(mutex_);
  return switches_ - std::exchange(switches_known_, switches_at_poll_);
}

bool JobWatch::is_qemu_gone() const {
  const std::lock_guard lock(mutex_);
  return is_qemu_gone_;
}

}  // namespace blockpull::driver::qemu
