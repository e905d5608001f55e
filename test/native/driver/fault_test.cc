// SPDX-License-Identifier: Apache-2.0
//
// Goal: a job that is stopped, or whose disk fails, ends with the right outcome, harms nothing, and
// can be repeated. Method: the fault happens at every write, every sync, every size of the disk and
// every step of a pull in turn. The image is judged as it is then, after a power failure on top,
// and after one more pull. Each run tries a sample, or everything with BLOCKPULL_SOAK=1.

#include <algorithm>
#include <cerrno>

#include <gtest/gtest.h>

#include "core/base/text.h"
#include "driver/crash_judge.h"
#include "files/test_seed.h"

namespace blockpull::driver {
namespace {

using faults::Change;
using faults::CrashPoint;
using faults::CrashWalk;
using faults::Faults;
using faults::Kept;
using faults::kNever;
using faults::RecordedDisk;

/// How often one kind of fault is tried in each case.
std::uint64_t tries() {
  return is_soak() ? kNever : 14;
}

class Fault : public testing::TestWithParam<CrashCase> {
 protected:
  Fault() : judge_(GetParam()) { random_.seed(test_seed()); }

  struct Outcome {
    std::shared_ptr<RecordedDisk> disk;
    PullRun run;
  };

  PullScript script(std::uint64_t seed) const {
    PullScript script;
    script.base = GetParam().base;
    script.trailing = GetParam().trailing();
    script.bandwidth = GetParam().bandwidth;
    script.seed = seed;
    return script;
  }

  Outcome pull(const Faults& faults, const PullScript& script) const {
    Outcome outcome{std::make_shared<RecordedDisk>(judge_.start()), {}};
    outcome.disk->faults = faults;
    outcome.run = run_pull(outcome.disk, GetParam().backings, script);
    EXPECT_TRUE(outcome.run.finished) << outcome.run.summary();
    EXPECT_EQ(outcome.run.left_behind, 0U);
    return outcome;
  }

  /// Whether try number `index` of `all` is made.
  bool is_tried(std::uint64_t all) { return all <= tries() || random_() % all < tries(); }

  /// Judges the disk as it is, after a power failure now, and after another pull.
  void expect_harmless(const RecordedDisk& disk) {
    ASSERT_EQ(judge_.fault_after_pull(disk.now()), "");
    CrashWalk walk(disk.start(), disk.log());
    while (walk.next()) {
    }
    const CrashPoint& end = walk.here();
    for (const Kept& kept :
         faults::choose_subsets(end.pending.size(), is_soak() ? 40 : 4, random_)) {
      ASSERT_EQ(judge_.fault_after_pull(end.state(kept)), "") << "after a power failure";
    }
  }

  /// Expects no leftovers that the next pull would have to reclaim.
  void expect_clean(const RecordedDisk& disk) const {
    faults::Verdict verdict = faults::check_image(disk.now());
    if (GetParam().keeps_trailer && disk.now().size() == disk.start().size() &&
        verdict.leaks == faults::check_image(disk.start()).leaks) {
      // The trailer could not be raised, so nothing was begun.
      return;
    }
    // If clusters had leaked, the last of them was kept with the trailer.
    const std::uint64_t cluster_size = std::uint64_t{1} << GetParam().top.cluster_bits;
    if (GetParam().keeps_trailer && verdict.trailing_bytes >= GetParam().top.garbage_behind &&
        (verdict.trailing_bytes - GetParam().top.garbage_behind) % cluster_size == 0) {
      verdict.trailing_bytes = 0;
    }
    const bool may_leak = GetParam().top.has_unknown_extension || GetParam().top.autoclear != 0;
    ASSERT_TRUE(verdict.is_clean() || may_leak) << verdict.summary();
  }

  const CrashJudge judge_;
  std::mt19937_64 random_;
};

TEST_P(Fault, AWriteThatFailsEndsTheJobAndHarmsNothing) {
  const Outcome whole = pull({}, script(0));
  const std::uint64_t writes = whole.disk->writes();
  for (std::uint64_t at = 0; at < writes; ++at) {
    if (!is_tried(writes)) {
      continue;
    }
    Faults faults;
    faults.failing_write = at;
    faults.failing_writes = random_() % 2 == 0 ? 1 : random_() % 5 + 1;
    faults.write_errno = random_() % 2 == 0 ? EIO : ENOSPC;
    faults.tears_failing_write = random_() % 2 == 0;
    const std::uint64_t seed = random_() % 2 == 0 ? 0 : random_();
    SCOPED_TRACE(text("write ", at, " fails with errno ", faults.write_errno, " ",
                      faults.failing_writes, " times, order ", seed));
    const Outcome outcome = pull(faults, script(seed));
    // Another order may have fewer writes.
    if (outcome.disk->writes() > at) {
      ASSERT_TRUE(outcome.run.ending.error.has_value()) << "the job says that it completed";
    }
    expect_harmless(*outcome.disk);
    if (HasFatalFailure()) {
      return;
    }
  }
}

TEST_P(Fault, ASyncThatFailsIsFinalAndNothingIsWrittenAfterIt) {
  const Outcome whole = pull({}, script(0));
  for (std::uint64_t at = 0; at < whole.disk->syncs(); ++at) {
    Faults faults;
    faults.failing_sync = at;
    SCOPED_TRACE(text("sync ", at, " fails"));
    const Outcome outcome = pull(faults, script(0));
    ASSERT_TRUE(outcome.run.ending.error.has_value()) << "the job says that it completed";
    const auto& log = outcome.disk->log();
    const auto failed = std::find_if(log.begin(), log.end(), [](const Change& change) {
      return change.kind == Change::Kind::kFailedSync;
    });
    // Data in flight when the sync failed may still arrive; nothing refers to it.
    ASSERT_NE(failed, log.end());
    for (auto later = failed; later != log.end(); ++later) {
      ASSERT_NE(later->kind, Change::Kind::kSync);
      ASSERT_NE(later->kind, Change::Kind::kResize);
      ASSERT_FALSE(later->kind == Change::Kind::kWrite && later->bytes.size() < 512)
          << "a table was written after the failed sync";
    }
    expect_harmless(*outcome.disk);
    if (HasFatalFailure()) {
      return;
    }
  }
}

TEST_P(Fault, ADiskThatLosesTheHeaderDoesNotCompleteTheJob) {
  const Outcome whole = pull({}, script(0));
  ASSERT_TRUE(whole.run.completed()) << whole.run.summary();
  ASSERT_TRUE(whole.run.ending.verified);
  ASSERT_TRUE(whole.run.ending.durable);
  Faults faults;
  faults.lost_write = whole.disk->writes() - 1;
  const Outcome outcome = pull(faults, script(0));
  ASSERT_TRUE(outcome.run.ending.error.has_value()) << "the job says that it completed";
  EXPECT_EQ(outcome.run.ending.error->kind, ErrorKind::kIo) << outcome.run.summary();
  EXPECT_FALSE(outcome.run.ending.verified);
  EXPECT_TRUE(outcome.run.ending.released.empty());
  EXPECT_EQ(outcome.disk->syncs(), whole.disk->syncs()) << "something was done after the lie";
  expect_harmless(*outcome.disk);
}

TEST_P(Fault, ADiskThatLosesAPartOfTheTrailerDoesNotCompleteTheJob) {
  const Outcome whole = pull({}, script(0));
  const std::uint64_t bytes = GetParam().keeps_trailer ? GetParam().top.garbage_behind : 0;
  std::uint64_t write = 0;
  std::size_t lost = 0;
  for (const Change& change : whole.disk->log()) {
    write += change.kind == Change::Kind::kWrite ? 1 : 0;
    // Leaked clusters may be kept with it.
    const bool is_copy = change.kind == Change::Kind::kWrite && bytes > 0 &&
                         change.bytes.size() >= bytes &&
                         (change.bytes.size() - bytes) % GetParam().top.cluster_size() == 0;
    if (!is_copy) {
      continue;
    }
    Faults faults;
    faults.lost_write = write - 1;
    const Outcome outcome = pull(faults, script(0));
    ASSERT_TRUE(outcome.run.ending.error.has_value()) << "the job says that it completed";
    EXPECT_EQ(outcome.run.ending.error->kind, ErrorKind::kIo) << outcome.run.summary();
    expect_harmless(*outcome.disk);
    ++lost;
  }
  EXPECT_EQ(lost >= 2, GetParam().keeps_trailer) << lost;
}

TEST_P(Fault, AFullDiskFailsTheJobAndLeavesNothingBehind) {
  const Outcome whole = pull({}, script(0));
  std::uint64_t largest = 0;
  for (const Change& change : whole.disk->log()) {
    largest = std::max(largest, change.kind == Change::Kind::kResize ? change.length : 0);
  }
  const std::uint64_t begin = judge_.start().size();
  const std::uint64_t step = GetParam().top.cluster_size() / 2;
  const std::uint64_t sizes = largest > begin ? (largest - begin) / step + 1 : 0;
  for (std::uint64_t size = 0; size < sizes; ++size) {
    if (!is_tried(sizes)) {
      continue;
    }
    Faults faults;
    faults.space = begin + size * step;
    faults.can_preallocate = random_() % 3 != 0;
    const std::uint64_t seed = random_() % 2 == 0 ? 0 : random_();
    SCOPED_TRACE(text("space for ", faults.space, " bytes, ",
                      faults.can_preallocate ? "" : "no preallocation, ", "order ", seed));
    const Outcome outcome = pull(faults, script(seed));
    if (outcome.run.ending.error) {
      ASSERT_EQ(outcome.run.ending.error->kind, ErrorKind::kNoSpace) << outcome.run.summary();
    } else {
      ASSERT_EQ(judge_.fault_of_completed(outcome.disk->now()), "");
    }
    if (faults.can_preallocate) {
      expect_clean(*outcome.disk);
    }
    expect_harmless(*outcome.disk);
    if (HasFatalFailure()) {
      return;
    }
  }
}

TEST_P(Fault, ACancelAtAnyStepLeavesACleanImage) {
  const std::uint64_t steps = pull({}, script(0)).run.steps;
  for (std::uint64_t at = 0; at < steps; ++at) {
    if (!is_tried(steps)) {
      continue;
    }
    PullScript stopped = script(random_() % 2 == 0 ? 0 : random_());
    stopped.stop_at = at;
    SCOPED_TRACE(text("cancelled at step ", at, ", order ", stopped.seed));
    const Outcome outcome = pull({}, stopped);
    if (outcome.run.ending.error) {
      ASSERT_EQ(outcome.run.ending.error->kind, ErrorKind::kCancelled) << outcome.run.summary();
    } else {
      ASSERT_EQ(judge_.fault_of_completed(outcome.disk->now()), "");
    }
    const bool wrote = !outcome.disk->log().empty();
    if (wrote) {
      expect_clean(*outcome.disk);
    }
    expect_harmless(*outcome.disk);
    if (HasFatalFailure()) {
      return;
    }
  }
}

TEST_P(Fault, AnAbandonedJobChangesNoTableAfterwards) {
  const std::uint64_t steps = pull({}, script(0)).run.steps;
  for (std::uint64_t at = 0; at < steps; ++at) {
    if (!is_tried(steps)) {
      continue;
    }
    PullScript stopped = script(random_() % 2 == 0 ? 0 : random_());
    stopped.stop_at = at;
    stopped.stop = job::Stop::kAbandon;
    SCOPED_TRACE(text("abandoned at step ", at, ", order ", stopped.seed));
    const Outcome outcome = pull({}, stopped);
    ASSERT_TRUE(outcome.run.completed() || outcome.run.ending.error->kind == ErrorKind::kCancelled);
    expect_harmless(*outcome.disk);
    if (HasFatalFailure()) {
      return;
    }
  }
}

TEST_P(Fault, ALimitThatIsLiftedLeavesNoTimerBehind) {
  const std::uint64_t steps = pull({}, script(0)).run.steps;
  for (std::uint64_t at = 0; at < steps; at += std::max<std::uint64_t>(steps / 10, 1)) {
    PullScript lifted = script(0);
    lifted.lift_limit_at = at;
    const Outcome outcome = pull({}, lifted);
    ASSERT_TRUE(outcome.run.completed()) << outcome.run.summary();
    ASSERT_EQ(judge_.fault_of_completed(outcome.disk->now()), "");
  }
}

INSTANTIATE_TEST_SUITE_P(Pull, Fault, testing::ValuesIn(crash_cases()),
                         [](const auto& about) { return about.param.name; });

}  // namespace
}  // namespace blockpull::driver
