// SPDX-License-Identifier: Apache-2.0
//
// The contract of every request queue, as tests that `thread_queue_test.cc` and
// `uring_queue_test.cc` each run for their own. `Owner` is default-constructed and has a queue().

#pragma once

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <list>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/unique_fd.h"
#include "core/io/posix_file.h"
#include "core/io/request.h"
#include "files/descriptor_file.h"
#include "files/temp_folder.h"
#include "files/test_seed.h"

namespace blockpull::io {

using Bytes = std::vector<std::byte>;

template <typename Owner>
class QueueContract : public testing::Test {
 protected:
  static constexpr std::size_t kPage = 4096;

  [[nodiscard]] RequestQueue& queue() { return owner_.queue(); }

  void submit(Request& request) {
    ++in_flight_;
    request.done = [this](Result<void> result) {
      --in_flight_;
      results_.push_back(std::move(result));
    };
    queue().submit(request);
  }

  void finish_all() {
    while (in_flight_ > 0) {
      queue().wait(Nanoseconds::max());
    }
  }

  /// Carries out one request.
  Result<void> run(Request::Op op, File& file, std::uint64_t offset, Bytes& bytes) {
    Request request{.op = op,
                    .file = &file,
                    .offset = offset,
                    .buffer = bytes.data(),
                    .length = bytes.size(),
                    .done = {}};
    submit(request);
    finish_all();
    Result<void> result = std::move(results_.back());
    results_.pop_back();
    return result;
  }

  [[nodiscard]] std::unique_ptr<PosixFile> file_with(std::string_view content) {
    return PosixFile::open(folder_.write("a", content), Access::kReadWrite).value();
  }

  const files::TempFolder folder_;
  Owner owner_;
  int in_flight_ = 0;
  std::vector<Result<void>> results_;
};

TYPED_TEST_SUITE_P(QueueContract);

TYPED_TEST_P(QueueContract, WhatIsWrittenIsInTheFileAndIsRead) {
  const auto file = this->file_with("0123456789");
  Bytes written(3, std::byte{'x'});
  ASSERT_TRUE(this->run(Request::Op::kWrite, *file, 4, written).ok());
  EXPECT_EQ(files::content_of(file->path()), "0123xxx789");
  Bytes read(5);
  ASSERT_TRUE(this->run(Request::Op::kRead, *file, 2, read).ok());
  EXPECT_EQ(read, (Bytes{std::byte{'2'}, std::byte{'3'}, std::byte{'x'}, std::byte{'x'},
                         std::byte{'x'}}));
}

TYPED_TEST_P(QueueContract, AReadAcrossTheEndOfTheFileIsFilledUpWithZeros) {
  const auto file = this->file_with("abc");
  Bytes bytes(3 * this->kPage, std::byte{0xee});
  ASSERT_TRUE(this->run(Request::Op::kRead, *file, 1, bytes).ok());
  EXPECT_EQ(bytes[1], std::byte{'c'});
  EXPECT_TRUE(all_zero(std::span(bytes).subspan(2)));
}

TYPED_TEST_P(QueueContract, AReadBehindTheEndOfTheFileIsZeros) {
  const auto file = this->file_with("abc");
  Bytes bytes(100, std::byte{0xee});
  ASSERT_TRUE(this->run(Request::Op::kRead, *file, 1U << 20U, bytes).ok());
  EXPECT_TRUE(all_zero(bytes));
}

TYPED_TEST_P(QueueContract, AWriteToAReadOnlyDescriptorFailsAndNamesThePlace) {
  const auto file = PosixFile::open(this->folder_.write("a", "abc"), Access::kReadOnly).value();
  Bytes bytes(10);
  const auto result = this->run(Request::Op::kWrite, *file, 700, bytes);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().error_number, EBADF);
  EXPECT_EQ(result.error().system_call, "write");
  EXPECT_EQ(result.error().path, file->path());
  EXPECT_EQ(result.error().offset, 700U);
}

TYPED_TEST_P(QueueContract, AClosedDescriptorIsAnErrorOfItsRequestAlone) {
  const auto good = this->file_with("abc");
  files::DescriptorFile closed({.fd = 1 << 20, .direct_fd = -1, .direct_alignment = 0});
  Bytes bytes(3);
  const auto failed = this->run(Request::Op::kRead, closed, 0, bytes);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().kind, ErrorKind::kIo);
  EXPECT_EQ(failed.error().error_number, EBADF);
  EXPECT_EQ(failed.error().system_call, "read");
  EXPECT_TRUE(this->run(Request::Op::kRead, *good, 0, bytes).ok());
}

TYPED_TEST_P(QueueContract, AFullDeviceIsNoSpace) {
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  files::DescriptorFile file({.fd = full.get(), .direct_fd = -1, .direct_alignment = 0});
  Bytes bytes(10);
  const auto result = this->run(Request::Op::kWrite, file, 0, bytes);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind, ErrorKind::kNoSpace);
}

TYPED_TEST_P(QueueContract, AShortWriteIsContinuedAndItsErrorTellsHowFarItCame) {
  const auto file = this->file_with("");
  ASSERT_NE(std::signal(SIGXFSZ, SIG_IGN), SIG_ERR);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{.rlim_cur = 10000, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  Bytes bytes(3000, std::byte{'w'});
  const auto result = this->run(Request::Op::kWrite, *file, 9000, bytes);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().error_number, EFBIG);
  EXPECT_EQ(result.error().offset, 10000U);
  EXPECT_EQ(files::content_of(file->path()).size(), 10000U);
}

TYPED_TEST_P(QueueContract, WhereDirectIoIsRefusedTheOtherDescriptorServes) {
  const auto real = this->file_with("abc");
  KernelFile kernel_file = real->kernel_file();
  // Like a device that requires more alignment than it reports.
  kernel_file.direct_alignment = 1;
  files::DescriptorFile file(kernel_file);
  Bytes bytes(3);
  const auto result = this->run(Request::Op::kRead, file, 0, bytes);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(bytes[2], std::byte{'c'});
}

TYPED_TEST_P(QueueContract, ManyInFlightEndOnceEachWhateverTheirOrder) {
  constexpr std::size_t kRequests = 2000;
  const auto file = this->file_with("");
  std::mt19937_64 random(test_seed());
  std::vector<std::size_t> order(kRequests);
  for (std::size_t i = 0; i < kRequests; ++i) {
    order[i] = i;
  }
  for (const Request::Op op : {Request::Op::kWrite, Request::Op::kRead}) {
    std::shuffle(order.begin(), order.end(), random);
    std::vector<Bytes> buffers(kRequests);
    std::vector<Request> requests(kRequests);
    for (const std::size_t i : order) {
      const auto value = op == Request::Op::kWrite ? static_cast<std::byte>(i % 251) : std::byte{};
      buffers[i].assign(1000, value);
      requests[i] = {.op = op,
                     .file = file.get(),
                     .offset = i * 1000,
                     .buffer = buffers[i].data(),
                     .length = 1000,
                     .done = {}};
      this->submit(requests[i]);
    }
    this->finish_all();
    ASSERT_EQ(this->results_.size(), kRequests);
    for (std::size_t i = 0; i < kRequests; ++i) {
      ASSERT_TRUE(this->results_[i].ok());
      ASSERT_EQ(buffers[i], Bytes(1000, static_cast<std::byte>(i % 251))) << i;
    }
    this->results_.clear();
  }
}

TYPED_TEST_P(QueueContract, ARequestMayBeDestroyedAndAnotherMadeInItsCall) {
  const auto file = this->file_with("abc");
  Bytes bytes(3);
  int left = 500;
  std::unique_ptr<Request> request;
  const std::function<void()> next = [&] {
    request = std::make_unique<Request>();
    request->file = file.get();
    request->buffer = bytes.data();
    request->length = bytes.size();
    request->done = [&](Result<void> result) {
      ASSERT_TRUE(result.ok());
      request.reset();
      if (--left > 0) {
        next();
      }
    };
    this->queue().submit(*request);
  };
  next();
  while (left > 0) {
    this->queue().wait(Nanoseconds::max());
  }
  EXPECT_EQ(request, nullptr);
}

TYPED_TEST_P(QueueContract, ARequestIsUsedAgainAsIfItWereNew) {
  const auto file = this->file_with("abc");
  Bytes bytes(2);
  Request request{.file = file.get(), .buffer = bytes.data(), .length = 2, .done = {}};
  for (const char first : {'a', 'b'}) {
    this->submit(request);
    this->finish_all();
    EXPECT_EQ(bytes[0], static_cast<std::byte>(first));
    ++request.offset;
  }
}

TYPED_TEST_P(QueueContract, AWakeEndsTheWaitThatIsUnderWayOrTheNextOne) {
  this->queue().wake();
  this->queue().wait(Nanoseconds::max());
  for (int round = 0; round < 20; ++round) {
    std::thread other([this] { this->queue().wake(); });
    this->queue().wait(Nanoseconds::max());
    other.join();
  }
}

TYPED_TEST_P(QueueContract, AWaitWithoutNewsEndsAtItsTimeAndNotBefore) {
  const MonotonicClock clock;
  // A wait consumes the wake that ends it.
  this->queue().wake();
  this->queue().wait(Nanoseconds::max());
  this->queue().wait(Nanoseconds(0));
  const Nanoseconds until = clock.now() + Nanoseconds(5'000'000);
  while (clock.now() < until) {
    const Nanoseconds before = clock.now();
    this->queue().wait(until);
    ASSERT_GE(clock.now(), std::min(until, before + Nanoseconds(1'000'000)));
  }
}

REGISTER_TYPED_TEST_SUITE_P(
    QueueContract, WhatIsWrittenIsInTheFileAndIsRead, AReadAcrossTheEndOfTheFileIsFilledUpWithZeros,
    AReadBehindTheEndOfTheFileIsZeros, AWriteToAReadOnlyDescriptorFailsAndNamesThePlace,
    AClosedDescriptorIsAnErrorOfItsRequestAlone, AFullDeviceIsNoSpace,
    AShortWriteIsContinuedAndItsErrorTellsHowFarItCame,
    WhereDirectIoIsRefusedTheOtherDescriptorServes, ManyInFlightEndOnceEachWhateverTheirOrder,
    ARequestMayBeDestroyedAndAnotherMadeInItsCall, ARequestIsUsedAgainAsIfItWereNew,
    AWakeEndsTheWaitThatIsUnderWayOrTheNextOne, AWaitWithoutNewsEndsAtItsTimeAndNotBefore);

}  // namespace blockpull::io
