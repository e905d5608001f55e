// SPDX-License-Identifier: Apache-2.0
//
// Brings an answer of the monitor, which arrives on the reactor's thread, to the job that waits for
// it on its host's thread. An answer that arrives after the job's end is dropped.
//
//     reactor ── post ──▶ host ──▶ is the owner there, and the job running? ──▶ the call
//
// Thread rule: post() and the results of posted() from any thread; end() on the host's thread.

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

  /// A callback for any thread that posts `call` with its arguments.
  template <typename Call>
  [[nodiscard]] auto posted(Call call) {
    return [self = shared_from_this(), call = std::move(call)](auto... given) {
      self->post([call, given...] { call(given...); });
    };
  }

  /// The job has ended, and its host may be destroyed.
  void end() {
    const std::lock_guard lock(mutex_);
    host_ = nullptr;
  }

 private:
  /// Guards host_ against posts after the end. Only the host's own thread sets host_, so it reads
  /// it without the lock.
  std::mutex mutex_;
  job::Host* host_;
  const std::weak_ptr<const void> owner_;
};

}  // namespace blockpull::driver::qemu
