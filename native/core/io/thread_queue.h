// SPDX-License-Identifier: Apache-2.0
//
// Requests by pread and pwrite on the blocking threads, for kernels and containers that refuse
// io_uring, and for files that exist only in tests.

#pragma once

#include <mutex>
#include <utility>
#include <vector>

#include "core/base/steady_condition.h"
#include "core/io/blocking_pool.h"
#include "core/io/request.h"

namespace blockpull::io {

class ThreadQueue final : public RequestQueue {
 public:
  explicit ThreadQueue(BlockingPool& pool) : pool_(pool) {}

  [[nodiscard]] const char* name() const override { return "threads"; }
  void submit(Request& request) override;
  void wait(Nanoseconds until) override;
  void wake() override;

 private:
  BlockingPool& pool_;
  /// Guards ended_ and woken_.
  std::mutex mutex_;
  SteadyCondition changed_;
  std::vector<std::pair<Request*, Result<void>>> ended_;
  bool woken_ = false;
};

}  // namespace blockpull::io
