// SPDX-License-Identifier: Apache-2.0
//
// The ring: what every queue promises, and what is its own.

#include "core/io/uring_queue.h"

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

TEST(UringQueue, AProcessWithoutDescriptorsIsToldSo) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto queue = UringQueue::create();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(queue.ok());
  EXPECT_EQ(queue.error().error_number, EMFILE);
  EXPECT_EQ(queue.error().operation, "eventfd");
}

}  // namespace
}  // namespace blockpull::io
