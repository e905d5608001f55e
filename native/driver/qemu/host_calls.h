// SPDX-License-Identifier: Apache-2.0
//
// The way of an answer from the monitor, which comes on the reactor's thread, to the job that
// waits for it on its host's thread. What arrives after the job's end is dropped.
//
//     reactor ── post ──▶ host ──▶ is the owner there, and the job running? ──▶ the call
//
// Thread rule: post() and what posted() gives from any thread; end() on the host's.

#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "job/host.h"

namespace blockpull::driver::qemu {

class HostCalls : public std::enable_shared_from_this<HostCalls> {
 public:
  /// `owner` is kept alive during each call, so a call may end the job.
  HostCalls(job::Host& host, std::weak_ptr<const void> owner)
      : host_(&host), owner_(std::move(owner)) {}

  void post(std::function<void()> call) {
    const std::lock_guard lock(mutex_);
    if (host_ == nullptr) {
      return;
    }
    host_->post([self = shared_from_this(), call = std::move(call)] {
      const auto owner = self->owner_.lock();
      if (owner != nullptr && self->host_ != nullptr) {
        call();
      }
    });
  }

  /// A callback for any thread that posts `call` with what it is given.
  template <typename Call>
  [[nodiscard]] auto posted(Call call) {
    return [self = shared_from_this(), call = std::move(call)](auto... given) {
      self->post([call, given...] { call(given...); });
    };
  }

  /// The job has ended, and its host may go.
  void end() {
    const std::lock_guard lock(mutex_);
    host_ = nullptr;
  }

 private:
  /// Guards host_ against posts that come after the end. The host's own thread, the only one to
  /// set it, reads it without.
  std::mutex mutex_;
  job::Host* host_;
  const std::weak_ptr<const void> owner_;
};

}  // namespace blockpull::driver::qemu
