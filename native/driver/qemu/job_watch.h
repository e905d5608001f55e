// SPDX-License-Identifier: Apache-2.0
//
// Listens for the end of one job in QEMU, and for stops of its guest. It begins before the job is
// started. A job can end before QEMU has answered the command that started it, and an ended job is
// no longer listed. The watch keeps what it received until somebody asks.
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

/// The content of BLOCK_JOB_COMPLETED or BLOCK_JOB_CANCELLED.
struct JobEnd {
  bool was_cancelled = false;
  /// Why it failed; absent if it completed.
  std::optional<std::string> error;
  /// QEMU had been asked to quit before.
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
  /// up again or its QEMU is gone. It must not block. Replaces an earlier one; {} for none.
  void on_news(std::function<void()> on_news);

  [[nodiscard]] std::optional<JobEnd> end() const;
  /// A poll of the guest is about to be sent.
  void begin_poll();
  /// That poll was answered. Returns how often the guest was stopped or continued since the
  /// previous poll was sent; 2 if nobody listened for a time. An event during a poll also counts
  /// for the next one, since it may have come after QEMU's answer.
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

  /// Guards everything below.
  mutable std::mutex mutex_;
  std::function<void()> on_news_;
  std::optional<JobEnd> end_;
  bool is_qemu_gone_ = false;
  /// How often the guest was stopped or continued: until now, until the last poll was sent, and
  /// until the last answered poll was sent.
  std::uint64_t switches_ = 0;
  std::uint64_t switches_at_poll_ = 0;
  std::uint64_t switches_known_ = 0;
  bool is_shutdown_ = false;
};

}  // namespace blockpull::driver::qemu
