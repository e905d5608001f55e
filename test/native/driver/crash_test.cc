// SPDX-License-Identifier: Apache-2.0
//
// Goal: after a power failure at any time, the image is sound, the guest reads the same bytes, and
// the next pull finishes. Method: a pull over a recording disk gives the log of its writes and
// syncs. At points of the log the disk loses, keeps, tears and reorders what no sync had covered,
// and each such state is judged. Each run tries a sample, or everything with BLOCKPULL_SOAK=1.

#include <gtest/gtest.h>

#include "core/base/text.h"
#include "driver/crash_judge.h"
#include "files/test_seed.h"

namespace blockpull::driver {
namespace {

using faults::Change;
using faults::Content;
using faults::CrashPoint;
using faults::CrashWalk;
using faults::Kept;
using faults::RecordedDisk;

/// Points of one log to try, and states of each.
struct Effort {
  std::size_t points = 30;
  std::size_t states = 4;
};

Effort effort() {
  return is_soak() ? Effort{SIZE_MAX, 150} : Effort{};
}

/// Passes states of the disk after a power failure to `judge`, until one has a fault.
template <typename Judge>
void try_crashes(const RecordedDisk& disk, const Effort& effort, std::mt19937_64& random,
                 const Judge& judge) {
  CrashWalk walk(disk.start(), disk.log());
  const std::size_t points = disk.log().size();
  for (std::size_t point = 0; walk.next(); ++point) {
    // The chance of each point, so that about the wanted number is tried.
    if (effort.points < points && random() % points >= effort.points) {
      continue;
    }
    const CrashPoint& here = walk.here();
    for (const Kept& kept : faults::choose_subsets(here.pending.size(), effort.states, random)) {
      const std::string fault = judge(here, kept);
      ASSERT_EQ(fault, "") << "after entry " << point << " of " << points << ", "
                           << std::count(kept.begin(), kept.end(), true) << " of " << kept.size()
                           << " pending fragments kept";
    }
  }
}

std::shared_ptr<RecordedDisk> pulled(const CrashCase& crash_case, const Content& start,
                                     std::uint64_t seed) {
  auto disk = std::make_shared<RecordedDisk>(start);
  PullScript script;
  script.base = crash_case.base;
  script.trailing = crash_case.trailing();
  script.bandwidth = crash_case.bandwidth;
  script.seed = seed;
  const PullRun run = run_pull(disk, crash_case.backings, script);
  EXPECT_TRUE(run.completed()) << run.summary();
  EXPECT_EQ(run.left_behind, 0U) << "calls or timers outlive the job";
  EXPECT_EQ(run.settled, run.total);
  return disk;
}

class Crash : public testing::TestWithParam<CrashCase> {
 protected:
  void SetUp() override { random_.seed(test_seed()); }

  const CrashCase& crash_case() const { return GetParam(); }

  std::mt19937_64 random_;
};

TEST_P(Crash, AnyStateIsSoundAndTheNextPullFinishes) {
  const CrashJudge judge(crash_case());
  ASSERT_EQ(judge.fault_of(judge.start()), "");
  for (int order = 0; order < 2; ++order) {
    const auto disk = pulled(crash_case(), judge.start(), order == 0 ? 0 : random_());
    ASSERT_EQ(judge.fault_of_completed(disk->now()), "");
    ASSERT_EQ(disk->log().back().kind, Change::Kind::kSync);
    try_crashes(*disk, effort(), random_, [&](const CrashPoint& point, const Kept& kept) {
      return judge.fault_after_pull(point.state(kept));
    });
  }
}

/// A killed process leaves its unsynced writes in the page cache. The next pull sees them, builds
/// on them, and may still lose them.
TEST_P(Crash, APowerFailureAfterAKilledProcessIsHarmless) {
  const CrashJudge judge(crash_case());
  const auto first = pulled(crash_case(), judge.start(), random_());
  CrashWalk walk(first->start(), first->log());
  const std::size_t deaths = is_soak() ? 60 : 3;
  while (walk.next()) {
    if (random_() % first->log().size() >= deaths) {
      continue;
    }
    std::vector<Change> pending;
    for (const auto& fragment : walk.here().pending) {
      if (fragment.offset == fragment.change->offset) {
        pending.push_back(*fragment.change);
      }
    }
    const auto second = std::make_shared<RecordedDisk>(walk.here().durable, std::move(pending));
    PullScript script;
    script.base = crash_case().base;
    script.trailing = crash_case().trailing();
    const PullRun run = run_pull(second, crash_case().backings, script);
    ASSERT_TRUE(run.completed()) << run.summary();
    const Effort few{is_soak() ? SIZE_MAX : 8, is_soak() ? 30U : 4U};
    try_crashes(*second, few, random_, [&](const CrashPoint& point, const Kept& kept) {
      return judge.fault_after_pull(point.state(kept));
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Pull, Crash, testing::ValuesIn(crash_cases()),
                         [](const auto& about) { return about.param.name; });

/// The process that abandoned these bytes may not have made that durable.
TEST(GarbageBehindTheEnd, IsCutOffOnceTheTablesThatWereReadAreDurable) {
  std::size_t looked_at = 0;
  for (const CrashCase& crash_case : crash_cases()) {
    if (crash_case.top.garbage_behind == 0 || crash_case.keeps_trailer) {
      continue;
    }
    const CrashJudge judge(crash_case);
    const auto disk = pulled(crash_case, judge.start(), 0);
    const auto& first = disk->log().front();
    EXPECT_EQ(first.kind, Change::Kind::kSync) << crash_case.name;
    ++looked_at;
  }
  EXPECT_GT(looked_at, 0U);
}

TEST(RandomCrash, AnyStateOfRandomPullsIsSoundAndTheNextPullFinishes) {
  std::mt19937_64 random(test_seed());
  for (int round = 0; round < (is_soak() ? 400 : 40); ++round) {
    const std::uint64_t seed = random();
    std::mt19937_64 own(seed);
    const CrashCase crash_case = random_case(own);
    SCOPED_TRACE(text("round ", round, ", its seed ", seed));
    const CrashJudge judge(crash_case);
    ASSERT_EQ(judge.fault_of(judge.start()), "");
    const auto disk = pulled(crash_case, judge.start(), own());
    ASSERT_EQ(judge.fault_of_completed(disk->now()), "");
    const Effort few{is_soak() ? 60U : 8U, is_soak() ? 20U : 4U};
    try_crashes(*disk, few, own, [&](const CrashPoint& point, const Kept& kept) {
      return judge.fault_after_pull(point.state(kept));
    });
    if (HasFatalFailure()) {
      return;
    }
  }
}

}  // namespace
}  // namespace blockpull::driver
