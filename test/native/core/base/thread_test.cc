// SPDX-License-Identifier: Apache-2.0
//
// A thread runs its body under its name and is waited for; a failed start is an error.

#include "core/base/thread.h"

#include <array>
#include <atomic>
#include <future>

#include <gtest/gtest.h>

namespace blockpull {
namespace {

TEST(Thread, RunsItsBodyUnderItsNameAndItsEndIsWaitedFor) {
  std::array<char, 16> name{};
  std::atomic<bool> ran{false};
  {
    std::promise<void> started;
    auto thread = Thread::start("blockpull-test", [&] {
      started.get_future().wait();
      ::pthread_getname_np(::pthread_self(), name.data(), name.size());
      ran = true;
    });
    ASSERT_TRUE(thread.ok());
    started.set_value();
    const Thread moved = std::move(thread).value();
  }
  EXPECT_TRUE(ran);
  EXPECT_STREQ(name.data(), "blockpull-test");
}

/// Runs in a process of its own, since it asks for a stack that is too large for the whole process.
[[noreturn]] void start_without_memory() {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, std::size_t{1} << 47U);
  ::pthread_setattr_default_np(&attributes);
  auto thread = Thread::start("blockpull-test", [] {});
  std::_Exit(!thread.ok() && thread.error().error_number == EAGAIN ? 0 : 1);
}

TEST(ThreadDeathTest, AFailedStartIsAnError) {
  EXPECT_EXIT(start_without_memory(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace blockpull
