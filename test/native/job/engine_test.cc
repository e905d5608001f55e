// SPDX-License-Identifier: Apache-2.0
//
// The engine's end. Whoever waits for a callback may let go of the engine in the same moment; a
// sanitizer tells when something of it is touched afterwards.

#include "job/engine.h"

#include <future>

#include <gtest/gtest.h>

namespace blockpull::job {
namespace {

TEST(Engine, MayEndWhileAThreadIsStillPostingItsLastCallback) {
  for (int round = 0; round < 200; ++round) {
    auto engine = Engine::shared();
    ASSERT_TRUE(engine.ok());
    std::promise<void> done;
    (*engine)->post([&] { (*engine)->run_blocking([] {}, [&done] { done.set_value(); }); });
    done.get_future().wait();
  }
}

TEST(Engine, EndsWithCallbacksStillToRun) {
  int ran = 0;
  for (int round = 0; round < 500; ++round) {
    auto engine = Engine::shared();
    ASSERT_TRUE(engine.ok());
    (*engine)->post([&ran] { ++ran; });
    (*engine)->post([&ran] { ++ran; });
  }
  EXPECT_EQ(ran, 1000);
}

}  // namespace
}  // namespace blockpull::job
