// SPDX-License-Identifier: Apache-2.0
//
// The threads of the library: one that drives every job, and a few that may block.
//
//     engine thread   ring or queue · timers · posted calls · every work item's steps
//     blocking (4)    open, fallocate, fdatasync, table I/O, inflate; pread and pwrite if
//                     io_uring is refused
//
// There is one engine per process, counted by its users. The first user creates it and the last
// ends it, on any thread. It must outlive its jobs, so a user that starts one waits for its end
// before it releases the engine. A release on another thread waits for the engine to end. On one of
// the engine's own threads that is impossible, but a callback there may happen to hold the last
// connection. The engine then ends by itself once that callback has returned.
//
// io_uring is probed once. If it is refused (seccomp, sysctl, an old kernel), the engine prints one
// line on stderr, once, and data goes through the blocking threads. BLOCKPULL_IO=threads forces
// that, silently.

#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/base/timer_queue.h"
#include "core/io/blocking_pool.h"
#include "job/host.h"
#include "job/registry.h"

namespace blockpull::job {

class Engine final : public Host {
 public:
  /// The engine of this process. kIo if threads or buffers cannot be created.
  [[nodiscard]] static Result<std::shared_ptr<Engine>> shared();
  ~Engine() override;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  [[nodiscard]] io::RequestQueue& queue() override { return *queue_; }
  [[nodiscard]] io::BufferArena& buffers() override { return *buffers_; }
  [[nodiscard]] const Clock& clock() const override { return clock_; }
  void run_blocking(std::function<void()> work, std::function<void()> done) override;
  std::uint64_t call_at(Nanoseconds when, std::function<void()> callback) override;
  void cancel_call(std::uint64_t ticket) override;
  void post(std::function<void()> callback) override;

  [[nodiscard]] Registry& registry() { return *registry_; }

  /// "io_uring" or "threads".
  [[nodiscard]] const char* method() const { return queue_->name(); }

 private:
  Engine(std::unique_ptr<io::BufferArena> buffers, std::unique_ptr<io::BlockingPool> blocking);
  static void let_go(Engine* engine);
  static void run(Engine* engine);
  void loop();
  [[nodiscard]] bool run_posted();

  MonotonicClock clock_;
  const std::shared_ptr<Registry> registry_;
  std::unique_ptr<io::BufferArena> buffers_;
  std::unique_ptr<io::BlockingPool> blocking_;
  std::unique_ptr<io::RequestQueue> queue_;

  /// Guards posted_, stopping_ and is_left_.
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  bool stopping_ = false;
  /// Nobody waits for its end: its own thread destroys it.
  bool is_left_ = false;

  /// Engine thread only.
  TimerQueue timers_;

  /// Absent until the thread has been started.
  std::optional<Thread> thread_;
};

}  // namespace blockpull::job
