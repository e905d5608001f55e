// SPDX-License-Identifier: Apache-2.0
//
// Requests through one io_uring: any number in flight, one system call for many, and no thread of
// ours blocked in a read.
//
//     submit ─▶ submission queue ─▶ kernel ─▶ completion queue ─▶ account ─┬─▶ done
//                     ▲                                                    │
//                     └──────────── the rest of a short transfer ──────────┘
//     wake ─▶ eventfd ◀─ a read of it is always in the ring
//
// Old kernels take no more requests until completions are read (EBUSY). Requests then wait in a
// list of ours: none is refused and nothing spins.
//
// A process may sandbox itself later (seccomp); a working ring is then refused. Requests that the
// kernel has taken run to their end. All others are done here, one after the other, which is slow
// but loses nothing.
//
// IOSQE_IO_DRAIN and linked requests are not used: on a shared ring they would make jobs wait for
// each other. The kernel's own workers (for files that cannot be read without blocking) are capped.

#pragma once

#include <deque>
#include <memory>

#include <liburing.h>

#include "core/base/unique_fd.h"
#include "core/io/request.h"

namespace blockpull::io {

class UringQueue final : public RequestQueue {
 public:
  /// Fails if the kernel or the sandbox refuses; the message says what was refused.
  [[nodiscard]] static Result<std::unique_ptr<UringQueue>> create();
  ~UringQueue() override;
  UringQueue(const UringQueue&) = delete;
  UringQueue& operator=(const UringQueue&) = delete;

  [[nodiscard]] const char* name() const override { return "io_uring"; }
  void submit(Request& request) override;
  void wait(Nanoseconds until) override;
  void wake() override;

 private:
  explicit UringQueue(UniqueFd wake_fd) : wake_fd_(std::move(wake_fd)) {}
  [[nodiscard]] Result<void> try_out();
  [[nodiscard]] io_uring_sqe* next_sqe();
  void queue(Request* request);
  void prepare(Request* request, io_uring_sqe& sqe);
  void queue_waiting();
  void complete(Request& request, int result);
  void reap();
  void give_up_ring(int error_number);
  void wait_without_ring(Nanoseconds until);
  void sleep_without_ring(Nanoseconds until);

  io_uring ring_{};
  bool ring_open_ = false;
  const UniqueFd wake_fd_;
  std::uint64_t wake_count_ = 0;
  /// A read of `wake_fd_` is in the ring or in the kernel, and has not ended.
  bool is_wake_read_ = false;
  /// Requests that found no room in the submission queue; nullptr stands for the read of the
  /// eventfd.
  std::deque<Request*> waiting_;
  /// Requests that the kernel has, and requests that it has not been given yet. Of the latter there
  /// are none once the ring is given up.
  std::size_t in_ring_ = 0;
  /// Nothing is submitted to the kernel any more.
  bool is_given_up_ = false;
};

}  // namespace blockpull::io
