// SPDX-License-Identifier: Apache-2.0
//
// Ears for one job in QEMU and for what happens to its guest, opened before the job is started: a
// job can end before QEMU has answered the command that started it, and one that has ended is
// listed no more. What is heard is kept until somebody asks.
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

  /// Calls `told` on the reactor's thread whenever something about the job was heard, or the
  /// connection is up again or its QEMU gone; it must not block. Replaces an earlier one; {} for
  /// none.
  void on_news(std::function<void()> told);

  [[nodiscard]] std::optional<JobEnd> end() const;
  /// A look at the guest is about to be asked for.
  void begin_look();
  /// That look is answered: how often the guest was stopped or went on since the one before it was
  /// begun; twice where nobody listened for a time. What is heard while a look is under way counts
  /// for the next one, too: it may have come after QEMU's answer.
  [[nodiscard]] std::uint64_t end_look();
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
  std::function<void()> told_;
  std::optional<JobEnd> end_;
  bool is_qemu_gone_ = false;
  /// How often the guest was stopped or went on: so far, when the last look began, and when the
  /// last one that was answered began.
  std::uint64_t switches_ = 0;
  std::uint64_t switches_at_look_ = 0;
  std::uint64_t switches_known_ = 0;
  bool is_shutdown_ = false;
};

}  // namespace blockpull::driver::qemu
