// SPDX-License-Identifier: Apache-2.0

#include "core/io/uring_queue.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "core/base/text.h"
#include "core/io/transfer.h"

namespace blockpull::io {
namespace {

/// Submission entries. More requests than that are started in several calls; none is refused.
constexpr unsigned kEntries = 256;

/// Kernel workers for blocking requests: [0] for regular files, [1] for the rest (the eventfd never
/// blocks).
constexpr std::array<unsigned, 2> kMaxWorkers = {2, 1};

}  // namespace

Result<std::unique_ptr<UringQueue>> UringQueue::create() {
  UniqueFd wake_fd(::eventfd(0, EFD_CLOEXEC));
  if (!wake_fd.is_open()) {
    return system_error("eventfd", errno, "io_uring");
  }
  auto queue = std::unique_ptr<UringQueue>(new UringQueue(std::move(wake_fd)));
  int status = ::io_uring_queue_init(kEntries, &queue->ring_, IORING_SETUP_COOP_TASKRUN);
  if (status == -EINVAL) {
    status = ::io_uring_queue_init(kEntries, &queue->ring_, 0);
  }
  if (status < 0) {
    return system_error("io_uring_setup", -status, "io_uring");
  }
  queue->ring_open_ = true;
  BLOCKPULL_CHECK(queue->try_out());
  if ((queue->ring_.features & IORING_FEAT_NODROP) == 0) {
    return make_error(ErrorKind::kUnsupported, "io_uring of this kernel may drop completions");
  }
  auto workers = kMaxWorkers;
  // A kernel that cannot cap its workers (before 5.15) still works.
  (void)::io_uring_register_iowq_max_workers(&queue->ring_, workers.data());
  queue->queue(nullptr);
  return queue;
}

UringQueue::~UringQueue() {
  if (ring_open_) {
    ::io_uring_queue_exit(&ring_);
  }
}

/// A sandbox may allow a ring to be created but refuse every operation on it.
Result<void> UringQueue::try_out() {
  io_uring_sqe* const nothing = next_sqe();
  if (nothing == nullptr) {
    return make_error(ErrorKind::kUnsupported, "io_uring accepts no request");
  }
  ::io_uring_prep_nop(nothing);
  io_uring_cqe* cqe = nullptr;
  int submitted = 0;
  do {
    submitted = ::io_uring_submit_and_wait(&ring_, 1);
  } while (submitted == -EINTR);
  if (submitted < 0 || ::io_uring_peek_cqe(&ring_, &cqe) != 0) {
    return system_error("io_uring_enter", submitted < 0 ? -submitted : EIO, "io_uring");
  }
  ::io_uring_cqe_seen(&ring_, cqe);
  return {};
}

/// A free entry; nullptr if the kernel takes no more for now.
io_uring_sqe* UringQueue::next_sqe() {
  io_uring_sqe* const sqe = ::io_uring_get_sqe(&ring_);
  if (sqe != nullptr) {
    return sqe;
  }
  (void)::io_uring_submit(&ring_);
  return ::io_uring_get_sqe(&ring_);
}

/// nullptr stands for the read of the eventfd.
void UringQueue::queue(Request* request) {
  io_uring_sqe* const sqe = waiting_.empty() && !is_given_up_ ? next_sqe() : nullptr;
  if (sqe == nullptr) {
    waiting_.push_back(request);
  } else {
    prepare(request, *sqe);
  }
}

void UringQueue::queue_waiting() {
  while (!waiting_.empty()) {
    io_uring_sqe* const sqe = next_sqe();
    if (sqe == nullptr) {
      return;
    }
    prepare(waiting_.front(), *sqe);
    waiting_.pop_front();
  }
}

void UringQueue::prepare(Request* request, io_uring_sqe& sqe) {
  if (request == nullptr) {
    ::io_uring_prep_read(&sqe, wake_fd_.get(), &wake_count_, sizeof wake_count_, 0);
    ::io_uring_sqe_set_data(&sqe, nullptr);
    is_wake_read_ = true;
    return;
  }
  const int fd = descriptor_for(*request, request->file->kernel_file());
  std::byte* const at = request->buffer + request->transferred;
  const auto left = static_cast<unsigned>(request->length - request->transferred);
  const std::uint64_t offset = request->offset + request->transferred;
  if (request->op == Request::Op::kRead) {
    ::io_uring_prep_read(&sqe, fd, at, left, offset);
  } else {
    ::io_uring_prep_write(&sqe, fd, at, left, offset);
  }
  ::io_uring_sqe_set_data(&sqe, request);
  ++in_ring_;
}

void UringQueue::submit(Request& request) {
  begin_transfer(request);
  queue(&request);
}

void UringQueue::wake() {
  const std::uint64_t one = 1;
  // Can only fail if 2^64 wakes are already waiting.
  (void)!::write(wake_fd_.get(), &one, sizeof one);
}

void UringQueue::wait(Nanoseconds until) {
  if (is_given_up_) {
    wait_without_ring(until);
    return;
  }
  queue_waiting();
  io_uring_cqe* cqe = nullptr;
  int status = 0;
  if (until == Nanoseconds::max()) {
    status = ::io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, nullptr, nullptr);
  } else {
    const Nanoseconds left = std::max(until - MonotonicClock().now(), Nanoseconds(0));
    __kernel_timespec timeout{.tv_sec = left.count() / 1'000'000'000,
                              .tv_nsec = left.count() % 1'000'000'000};
    status = ::io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, &timeout, nullptr);
  }
  if (status < 0 && status != -ETIME && status != -EINTR && status != -EAGAIN && status != -EBUSY) {
    give_up_ring(-status);
  }
  reap();
}

/// Takes back the requests that the kernel has not been given.
void UringQueue::give_up_ring(int error_number) {
  is_given_up_ = true;
  std::fprintf(stderr,
               "blockpull: io_uring is no longer allowed (io_uring_enter: %s); reads and writes "
               "run one at a time, which is slow, until this process is restarted\n",
               std::generic_category().message(error_number).c_str());
  // A read here must never wait for a wake that the ring's own read has taken.
  (void)::fcntl(wake_fd_.get(), F_SETFL, O_NONBLOCK);
  const unsigned count = ::io_uring_sq_ready(&ring_);
  for (unsigned back = 1; back <= count; ++back) {
    const io_uring_sqe& sqe = ring_.sq.sqes[(ring_.sq.sqe_tail - back) & ring_.sq.ring_mask];
    if (auto* const request = reinterpret_cast<Request*>(sqe.user_data)) {
      waiting_.push_front(request);
      --in_ring_;
    } else {
      is_wake_read_ = false;
    }
  }
  std::erase(waiting_, nullptr);
}

/// Does one request at a time, so that timers and wakes are not delayed longer.
void UringQueue::wait_without_ring(Nanoseconds until) {
  if (waiting_.empty()) {
    sleep_without_ring(until);
  } else {
    Request* const request = waiting_.front();
    waiting_.pop_front();
    Result<void> result = transfer_now(*request);
    // Moved out first, since its maker may destroy the request in the call.
    const auto done = std::move(request->done);
    done(std::move(result));
  }
  reap();
}

/// Any system call lets the kernel put finished requests into the ring. The kernel's pending read
/// of the eventfd may take a wake from us, so the ring is checked for that too.
void UringQueue::sleep_without_ring(Nanoseconds until) {
  constexpr Nanoseconds kLook{10'000'000};
  const Nanoseconds most =
      in_ring_ > 0 || is_wake_read_ ? kLook : Nanoseconds(std::chrono::hours(1));
  const Nanoseconds left = std::clamp(until - MonotonicClock().now(), Nanoseconds(0), most);
  const timespec timeout{.tv_sec = left.count() / 1'000'000'000,
                         .tv_nsec = left.count() % 1'000'000'000};
  pollfd wake{.fd = wake_fd_.get(), .events = POLLIN, .revents = 0};
  if (::ppoll(&wake, 1, &timeout, nullptr) > 0) {
    (void)!::read(wake_fd_.get(), &wake_count_, sizeof wake_count_);
  }
}

void UringQueue::reap() {
  io_uring_cqe* cqe = nullptr;
  while (::io_uring_peek_cqe(&ring_, &cqe) == 0) {
    auto* const request = static_cast<Request*>(::io_uring_cqe_get_data(cqe));
    const int result = cqe->res;
    ::io_uring_cqe_seen(&ring_, cqe);
    if (request == nullptr) {
      is_wake_read_ = false;
      if (!is_given_up_) {
        queue(nullptr);
      }
    } else {
      --in_ring_;
      complete(*request, result);
    }
  }
}

void UringQueue::complete(Request& request, int result) {
  if (result == -EINTR || result == -EAGAIN ||
      retry_without_direct(request, request.file->kernel_file(), -result)) {
    queue(&request);
    return;
  }
  const TransferState state = account(request, result);
  if (state == TransferState::kContinue) {
    queue(&request);
    return;
  }
  // Moved out first, since its maker may destroy the request in the call.
  const auto done = std::move(request.done);
  done(state == TransferState::kWhole
           ? Result<void>()
           : Result<void>(transfer_error(request, result < 0 ? -result : 0)));
}

}  // namespace blockpull::io
