// SPDX-License-Identifier: Apache-2.0
//
// The queue of threads: the common contract, and files that the kernel does not know.

#include "core/io/thread_queue.h"

#include <atomic>
#include <csignal>
#include <string>

#include <pthread.h>

#include "core/io/queue_contract.h"
#include "core/io/transfer.h"
#include "faults/memory_file.h"

namespace blockpull::io {
namespace {

class FourThreads {
 public:
  [[nodiscard]] RequestQueue& queue() { return queue_; }

 private:
  const std::unique_ptr<BlockingPool> pool_ = BlockingPool::create(4).value();
  ThreadQueue queue_{*pool_};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Threads, QueueContract, FourThreads);

TEST(ThreadQueue, SaysThatItIsThreads) {
  FourThreads threads;
  EXPECT_STREQ(threads.queue().name(), "threads");
}

TEST(ThreadQueue, AFileThatTheKernelDoesNotKnowIsServedByItsOwnCalls) {
  faults::MemoryFile file(Bytes(10, std::byte{'a'}));
  Bytes bytes(3, std::byte{'b'});
  Request write{.op = Request::Op::kWrite,
                .file = &file,
                .offset = 8,
                .buffer = bytes.data(),
                .length = 3,
                .done = {}};
  ASSERT_TRUE(transfer_now(write).ok());
  EXPECT_EQ(file.bytes().size(), 11U);
  EXPECT_EQ(file.bytes()[8], std::byte{'b'});
  Request read{.file = &file, .offset = 7, .buffer = bytes.data(), .length = 3, .done = {}};
  ASSERT_TRUE(transfer_now(read).ok());
  EXPECT_EQ(bytes[0], std::byte{'a'});
}

TEST(ThreadQueue, TheErrorOfAFileIsTheErrorOfItsRequest) {
  files::DescriptorFile file({});
  Bytes bytes(3);
  Request request{.file = &file, .buffer = bytes.data(), .length = 3, .done = {}};
  const auto result = transfer_now(request);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind, ErrorKind::kUnsupported);
}

TEST(ThreadQueue, AReadInterruptedBySignalsIsCompleted) {
  struct sigaction counting {};
  struct sigaction before {};
  static std::atomic<int> signals;
  signals = 0;
  counting.sa_handler = [](int) { ++signals; };
  ASSERT_EQ(::sigaction(SIGUSR1, &counting, &before), 0);
  const UniqueFd zeros(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  files::DescriptorFile file({.fd = zeros.get(), .direct_fd = -1, .direct_alignment = 0});
  Bytes bytes(64U << 20U);
  Request request{.file = &file, .buffer = bytes.data(), .length = bytes.size(), .done = {}};
  std::atomic<bool> ended{false};
  std::thread sender([&ended, reader = ::pthread_self()] {
    while (!ended.load()) {
      ::pthread_kill(reader, SIGUSR1);
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  });
  int arrived = 0;
  // Until a signal has arrived during a transfer, nearly always the first one.
  while (arrived == 0) {
    std::fill(bytes.begin(), bytes.end(), std::byte{0xee});
    const int until_now = signals.load();
    EXPECT_TRUE(transfer_now(request).ok());
    arrived = signals.load() - until_now;
    EXPECT_TRUE(all_zero(bytes));
    begin_transfer(request);
  }
  ended = true;
  sender.join();
  ASSERT_EQ(::sigaction(SIGUSR1, &before, nullptr), 0);
}

}  // namespace
}  // namespace blockpull::io
