// SPDX-License-Identifier: Apache-2.0
//
// Listens for one job in QEMU and for what happens to its guest. It begins before the job is
// started: a job can end before QEMU has answered the command that started it, and a job that has
// ended is no longer listed. What it heard is kept until somebody asks.
//
// Thread rule: any thread.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/qmp/monitor.h"

namespace blockpull::driver::qemu {

/// What BLOCK_JOB_COMPLETED or BLOCK_JOB_CANCELLED said.
struct JobEnd {
  bool was_cancelled = false;
  /// Why it failed; absent where it was done.
  std::optional<std::string> error;
  /// QEMU was told to quit before.
  bool is_shutdown = false;
};

class JobWatch {
 public:
  [[nodiscard]] static std::shared_ptr<JobWatch> begin(std::shared_ptr<qmp::Monitor> monitor,
                                                       const std::string& job_id);
  ~JobWatch();
  JobWatch(const JobWatch&) = delete;
  JobWatch& operator=(const JobWatch&) = delete;

  /// Calls `on_news` on the reactor's thread for every event of the job, and when the connection is
  /// up again or its QEMU gone. It must not block. Replaces an earlier one; {} for none.
  void on_news(std::function<void()> on_news);

  [[nodiscard]] std::optional<JobEnd> end() const;
  /// A poll of the guest is about to be sent.
  void begin_poll();
  /// That poll is answered. Gives how often the guest was stopped or continued since the previous
  /// poll was sent; 2 where nobody listened for a time. An event during a poll counts for the next
  /// one, too: it may have come after QEMU's answer.
  [[nodiscard]] std::uint64_t end_poll();
  /// Nobody listens on the monitor any more.
  [[nodiscard]] bool is_qemu_gone() const;

 private:
  explicit JobWatch(std::shared_ptr<qmp::Monitor> monitor) : monitor_(std::move(monitor)) {}

  void hear(const qmp::Event& event, const std::string& job_id);
  void hear(qmp::Link link);
  void tell();

  const std::shared_ptr<qmp::Monitor> monitor_;
  std::uint64_t listener_ = 0;

  /// Guards what follows.
  mutable std::mutex mutex_;
  std::function<void()> on_news_;
  std::optional<JobEnd> end_;
  bool is_qemu_gone_ = false;
  /// How often the guest was stopped or continued: so far, when the last poll was sent, and when
  /// the last one that was answered was sent.
  std::uint64_t switches_ = 0;
  std::uint64_t switches_at_poll_ = 0;
  std::uint64_t switches_known_ = 0;
  bool is_shutdown_ = false;
};

}  // namespace blockpull::driver::qemu
