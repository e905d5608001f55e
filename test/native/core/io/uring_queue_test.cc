// SPDX-License-Identifier: Apache-2.0
//
// The ring: the common contract, and what is specific to it.

#include "core/io/uring_queue.h"

#include <array>
#include <cerrno>
#include <cstddef>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/io/queue_contract.h"

namespace blockpull::io {
namespace {

class Ring {
 public:
  Ring() : queue_(UringQueue::create().value()) {}
  [[nodiscard]] RequestQueue& queue() { return *queue_; }

 private:
  const std::unique_ptr<UringQueue> queue_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Uring, QueueContract, Ring);

TEST(UringQueue, SaysThatItIsIoUring) {
  Ring ring;
  EXPECT_STREQ(ring.queue().name(), "io_uring");
}

/// Runs in a child process, which may then create rings but not use them.
bool refuse_io_uring_enter() {
  std::array<sock_filter, 4> steps{{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                                    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_enter, 0, 1),
                                    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                                    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
  const sock_fprog filter{steps.size(), steps.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST(UringQueue, IsRefusedIfASandboxForbidsUsingTheRing) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool is_caged = refuse_io_uring_enter();
    const auto queue = UringQueue::create();
    const bool is_said = !queue.ok() && queue.error().system_call == "io_uring_enter";
    ::_exit(is_caged && is_said ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

/// Returns 0 if everything requested before and after the ring was refused was done.
int write_and_read_through_a_refused_ring(const std::string& path) {
  constexpr std::size_t kCount = 400;
  constexpr std::size_t kLength = 4096;
  Ring ring;
  auto file = PosixFile::open(path, Access::kReadWrite);
  if (!file.ok()) {
    return 2;
  }
  Bytes bytes(kCount * kLength);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(i / kLength * 7 + i);
  }
  Bytes read(bytes.size());
  std::size_t done = 0;
  std::list<Request> requests;
  const auto submit = [&](Request::Op op, std::size_t at, Bytes& from) {
    requests.push_back({.op = op,
                        .file = file->get(),
                        .offset = at * kLength,
                        .buffer = from.data() + at * kLength,
                        .length = kLength,
                        .done = [&done](Result<void> result) { done += result.ok() ? 1 : 0; }});
    ring.queue().submit(requests.back());
  };
  // Some requests that the kernel has, and more than the ring has entries for.
  for (std::size_t i = 0; i < kCount; ++i) {
    submit(Request::Op::kWrite, i, bytes);
    if (i == kCount / 8) {
      ring.queue().wait(Nanoseconds(0));
    }
  }
  if (!refuse_io_uring_enter()) {
    return 3;
  }
  for (int waits = 0; done < kCount && waits < 10'000; ++waits) {
    ring.queue().wait(Nanoseconds::max());
  }
  for (std::size_t i = 0; i < kCount; ++i) {
    submit(Request::Op::kRead, i, read);
  }
  for (int waits = 0; done < 2 * kCount && waits < 10'000; ++waits) {
    ring.queue().wait(Nanoseconds::max());
  }
  // A wake still ends a wait.
  std::thread waker([&ring] { ring.queue().wake(); });
  ring.queue().wait(Nanoseconds::max());
  waker.join();
  return done == 2 * kCount && read == bytes ? 0 : 1;
}

TEST(UringQueue, ARingRefusedLaterStillCompletesAllRequests) {
  const files::TempFolder folder;
  const std::string path = folder.write("file", "to be written");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::_exit(write_and_read_through_a_refused_ring(path));
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(UringQueue, AFileThatTheKernelDoesNotKnowIsAnErrorAndNoCrash) {
  Ring ring;
  files::DescriptorFile file({});
  Bytes bytes(3);
  bool ended = false;
  Request request{
      .file = &file, .buffer = bytes.data(), .length = 3, .done = [&ended](Result<void> result) {
        ended = !result.ok();
      }};
  ring.queue().submit(request);
  while (!ended) {
    ring.queue().wait(Nanoseconds::max());
  }
}

TEST(UringQueue, ReportsThatDescriptorsRanOut) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto queue = UringQueue::create();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(queue.ok());
  EXPECT_EQ(queue.error().error_number, EMFILE);
  EXPECT_EQ(queue.error().system_call, "eventfd");
}

}  // namespace
}  // namespace blockpull::io
