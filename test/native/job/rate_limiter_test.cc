// SPDX-License-Identifier: Apache-2.0
//
// Goal: the bytes issued in any second equal the limit, to 2 %. Method: a job with endless work on
// a fake clock is woken by timers that are late, as real ones are. Every window of one second that
// begins at an issue is counted.

#include "job/rate_limiter.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "files/test_seed.h"

namespace blockpull::job {
namespace {

using limits::kGiB;
using limits::kKiB;
using limits::kMiB;

constexpr Nanoseconds kMillisecond{1'000'000};
constexpr Nanoseconds kSecond{1'000'000'000};
constexpr Nanoseconds kStart{1'000'000'000'000};
/// How late a timer may be without losing time.
constexpr Nanoseconds kGrace = 4 * kMillisecond;

struct Issue {
  Nanoseconds at;
  std::uint64_t bytes = 0;
};

/// A job that always has something to issue.
class BusyJob {
 public:
  BusyJob(std::uint64_t rate, std::uint64_t seed) : limiter_(rate, kStart), random_(seed) {}

  /// The most that a timer is late.
  Nanoseconds lateness = kGrace;

  [[nodiscard]] const std::vector<Issue>& issues() const { return issues_; }
  [[nodiscard]] Nanoseconds now() const { return now_; }

  void set_rate(std::uint64_t rate) { limiter_.set_rate(rate, now_); }
  void idle(Nanoseconds span) { now_ += span; }

  void run(Nanoseconds span) {
    const Nanoseconds end = now_ + span;
    for (;;) {
      while (limiter_.may_issue(now_)) {
        issue();
      }
      const Nanoseconds woken = limiter_.due() + Nanoseconds(random_() % (lateness.count() + 1));
      if (woken > end) {
        now_ = end;
        return;
      }
      now_ = woken;
    }
  }

  void issue() {
    const std::uint64_t bytes = limiter_.piece(limits::kPiece);
    limiter_.charge(bytes, now_);
    issues_.push_back({now_, bytes});
  }

 private:
  RateLimiter limiter_;
  std::mt19937_64 random_;
  Nanoseconds now_ = kStart;
  std::vector<Issue> issues_;
};

struct Span {
  Nanoseconds begin;
  Nanoseconds end;
};

struct Extremes {
  /// Bytes in the fullest second, both its ends included.
  double most = 0;
  /// Bytes in the emptiest second, both its ends excluded.
  double least = 1e30;
  std::size_t windows = 0;
};

/// The extremes over every second that begins at an issue and lies in `span`.
Extremes extremes_of(const std::vector<Issue>& issues, Span span) {
  Extremes found;
  std::size_t past = 0;
  double sum = 0;
  for (std::size_t first = 0; first < issues.size(); ++first) {
    const Nanoseconds end = issues[first].at + kSecond;
    for (; past < issues.size() && issues[past].at <= end; ++past) {
      sum += static_cast<double>(issues[past].bytes);
    }
    if (issues[first].at >= span.begin && end <= span.end) {
      const auto at_begin = static_cast<double>(issues[first].bytes);
      const auto at_end =
          issues[past - 1].at == end ? static_cast<double>(issues[past - 1].bytes) : 0.0;
      found.most = std::max(found.most, sum);
      found.least = std::min(found.least, sum - at_begin - at_end);
      ++found.windows;
    }
    sum -= static_cast<double>(issues[first].bytes);
  }
  return found;
}

/// If a 64th of the rate is less than the smallest piece, that piece counts beside the 2 %.
double allowance(std::uint64_t rate) {
  return rate / 64 < 4 * kKiB ? static_cast<double>(4 * kKiB) : 0.0;
}

double most_at(std::uint64_t rate) {
  return 1.02 * static_cast<double>(rate) + allowance(rate);
}

double least_at(std::uint64_t rate) {
  return 0.98 * static_cast<double>(rate) - allowance(rate);
}

class RateLimiterAt : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RateLimiterAt, NoSecondHasMoreOrLessThanTheLimitTo2Percent) {
  BusyJob job(GetParam(), test_seed());
  job.run(20 * kSecond);
  const Extremes found = extremes_of(job.issues(), {kStart, job.now()});
  ASSERT_GE(found.windows, 19U);
  EXPECT_LE(found.most, most_at(GetParam()));
  EXPECT_GE(found.least, least_at(GetParam()));
}

TEST_P(RateLimiterAt, TheAverageIsTheLimitToTheGrace) {
  BusyJob job(GetParam(), test_seed());
  job.run(20 * kSecond);
  double sum = 0;
  for (const Issue& issue : job.issues()) {
    sum += static_cast<double>(issue.bytes);
  }
  const double rate = static_cast<double>(GetParam());
  const double piece = static_cast<double>(job.issues().front().bytes);
  EXPECT_LE(sum, rate * 20.004 + piece);
  EXPECT_GE(sum, rate * 19.996 - piece);
}

TEST_P(RateLimiterAt, LateTimersNeverExceedTheLimit) {
  for (const Nanoseconds lateness : {9 * kMillisecond, 50 * kMillisecond, 2 * kSecond}) {
    BusyJob job(GetParam(), test_seed());
    job.lateness = lateness;
    job.run(60 * kSecond);
    const Extremes found = extremes_of(job.issues(), {kStart, job.now()});
    ASSERT_GE(found.windows, 1U);
    EXPECT_LE(found.most, most_at(GetParam())) << lateness.count();
  }
}

TEST_P(RateLimiterAt, IdleTimeIsNotSavedUp) {
  BusyJob job(GetParam(), test_seed());
  for (int round = 0; round < 5; ++round) {
    job.idle(7 * kSecond);
    job.run(2 * kSecond);
  }
  EXPECT_LE(extremes_of(job.issues(), {kStart, job.now()}).most, most_at(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Rates, RateLimiterAt,
                         testing::Values(4 * kKiB + 1, 64 * kKiB, 777'777, kMiB, 3'000'000,
                                         10 * kMiB, 100 * kMiB, 250'000'001, 3 * kGiB),
                         [](const auto& about) { return std::to_string(about.param); });

struct Change {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};

void PrintTo(const Change& change, std::ostream* out) {
  *out << change.from << " to " << change.to;
}

class ChangedRate : public testing::TestWithParam<Change> {
 protected:
  static constexpr int kRounds = 50;

  /// A job whose rate has just changed, at a different instant in each round.
  [[nodiscard]] static BusyJob changed(int round) {
    const std::uint64_t seed = test_seed() + static_cast<std::uint64_t>(round);
    BusyJob job(GetParam().from, seed);
    job.run(2 * kSecond + Nanoseconds(std::mt19937_64(seed)() % 100'000'000));
    job.set_rate(GetParam().to);
    return job;
  }
};

TEST_P(ChangedRate, TheNewOneIsReachedWithin50Milliseconds) {
  for (int round = 0; round < kRounds; ++round) {
    BusyJob job = changed(round);
    const Nanoseconds change = job.now();
    job.run(4 * kSecond);
    const Extremes found = extremes_of(job.issues(), {change + 50 * kMillisecond, job.now()});
    ASSERT_GE(found.windows, 1U);
    ASSERT_LE(found.most, most_at(GetParam().to)) << round;
    ASSERT_GE(found.least, least_at(GetParam().to)) << round;
    const auto next = std::find_if(job.issues().begin(), job.issues().end(),
                                   [change](const Issue& issue) { return issue.at >= change; });
    ASSERT_LE(next->at, change + 50 * kMillisecond) << round;
  }
}

TEST_P(ChangedRate, NoExtraPieceIsIssuedAfterTheChange) {
  for (int round = 0; round < kRounds; ++round) {
    BusyJob job = changed(round);
    const Nanoseconds change = job.now();
    job.run(4 * kSecond);
    const double rate = static_cast<double>(GetParam().to);
    const double piece = static_cast<double>(job.issues().back().bytes);
    double sum = 0;
    for (const Issue& issue : job.issues()) {
      if (issue.at < change) {
        continue;
      }
      sum += static_cast<double>(issue.bytes);
      const double seconds = std::chrono::duration<double>(issue.at - change + kGrace).count();
      ASSERT_LE(sum, rate * seconds + piece + 1) << round;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(UpAndDown, ChangedRate,
                         testing::Values(Change{kMiB, 100 * kMiB}, Change{100 * kMiB, kMiB},
                                         Change{kMiB, 10 * kMiB}, Change{10 * kMiB, kMiB},
                                         Change{10 * kMiB, 11 * kMiB}, Change{3 * kGiB, kMiB},
                                         Change{64 * kKiB, 3 * kGiB}),
                         [](const auto& about) {
                           return std::to_string(about.param.from) + "To" +
                                  std::to_string(about.param.to);
                         });

TEST(RateLimiter, WithoutALimitEverythingGoesAtOnce) {
  RateLimiter limiter(0, kStart);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(limiter.may_issue(kStart));
    ASSERT_EQ(limiter.piece(kMiB), kMiB);
    limiter.charge(kMiB, kStart);
  }
}

TEST(RateLimiter, ALiftedLimitDelaysNothing) {
  RateLimiter limiter(kMiB, kStart);
  limiter.charge(64 * kMiB, kStart);
  ASSERT_FALSE(limiter.may_issue(kStart + 60 * kSecond));
  limiter.set_rate(0, kStart + kMillisecond);
  EXPECT_TRUE(limiter.may_issue(kStart + kMillisecond));
  EXPECT_LE(limiter.due(), kStart + kMillisecond);
  EXPECT_EQ(limiter.rate(), 0U);
  EXPECT_EQ(limiter.piece(kMiB), kMiB);
}

TEST(RateLimiter, ALimitSetAfterNoneAppliesAtOnce) {
  BusyJob job(0, test_seed());
  for (int i = 0; i < 1000; ++i) {
    job.idle(kMillisecond);
    job.issue();
  }
  job.set_rate(10 * kMiB);
  const Nanoseconds change = job.now() + Nanoseconds(1);
  job.run(4 * kSecond);
  const Extremes found = extremes_of(job.issues(), {change, job.now()});
  EXPECT_LE(found.most, most_at(10 * kMiB));
  EXPECT_GE(found.least, least_at(10 * kMiB));
}

TEST(RateLimiter, SettingTheSameRateRepeatedlyGainsNothing) {
  BusyJob job(10 * kMiB, test_seed());
  for (int i = 0; i < 4000; ++i) {
    job.run(kMillisecond);
    job.set_rate(10 * kMiB);
  }
  const Extremes found = extremes_of(job.issues(), {kStart, job.now()});
  EXPECT_LE(found.most, most_at(10 * kMiB));
  EXPECT_GE(found.least, least_at(10 * kMiB));
}

TEST(RateLimiter, LatenessUpToTheGraceIsMadeUpFor) {
  RateLimiter limiter(kMiB, kStart);
  limiter.charge(16 * kKiB, kStart);
  const Nanoseconds first = limiter.due();
  EXPECT_EQ(first, kStart + kSecond / 64);
  limiter.charge(16 * kKiB, first + kGrace);
  EXPECT_EQ(limiter.due(), first + kSecond / 64);
}

TEST(RateLimiter, LatenessBeyondTheGraceIsLost) {
  RateLimiter limiter(kMiB, kStart);
  limiter.charge(16 * kKiB, kStart);
  const Nanoseconds late = limiter.due() + 10 * kSecond;
  limiter.charge(16 * kKiB, late);
  EXPECT_EQ(limiter.due(), late - kGrace + kSecond / 64);
}

TEST(RateLimiter, APieceIsA64thOfTheRateInWholePages) {
  const struct {
    std::uint64_t rate;
    std::uint64_t piece;
  } rows[] = {{1, 4 * kKiB},           {64 * kKiB, 4 * kKiB}, {511 * kKiB, 4 * kKiB},
              {512 * kKiB, 8 * kKiB},  {kMiB, 16 * kKiB},     {3'000'000, 44 * kKiB},
              {10 * kMiB, 160 * kKiB}, {64 * kMiB, kMiB},     {kGiB, 16 * kMiB}};
  for (const auto& row : rows) {
    EXPECT_EQ(RateLimiter(row.rate, kStart).piece(UINT64_MAX), row.piece) << row.rate;
    EXPECT_EQ(RateLimiter(row.rate, kStart).piece(2 * kKiB), 2 * kKiB) << row.rate;
    EXPECT_LE(RateLimiter(row.rate, kStart).piece(kMiB), kMiB) << row.rate;
  }
}

TEST(RateLimiter, TheLargestNumbersDoNotOverflow) {
  for (const std::uint64_t rate : {UINT64_MAX, UINT64_MAX - 1, std::uint64_t{1} << 63U}) {
    RateLimiter limiter(rate, kStart);
    for (int i = 0; i < 1000; ++i) {
      limiter.charge(limits::kPiece, kStart);
    }
    // One nanosecond for each, since times are rounded up.
    EXPECT_GT(limiter.due(), kStart - kGrace);
    EXPECT_LE(limiter.due(), kStart + Nanoseconds(1000));
    limiter.charge(UINT64_MAX, kStart);
    EXPECT_GE(limiter.due(), kStart + kSecond / 2);
    EXPECT_LE(limiter.due(), kStart + 3 * kSecond);
    limiter.set_rate(UINT64_MAX / 2, kStart);
    EXPECT_GE(limiter.due(), kStart);
    EXPECT_LE(limiter.due(), kStart + kSecond);
  }
}

TEST(RateLimiter, TheSlowestRateOwesADayAtMost) {
  RateLimiter limiter(1, kStart);
  limiter.charge(UINT64_MAX, kStart);
  EXPECT_EQ(limiter.due(), kStart + 86'400 * kSecond);
  limiter.set_rate(UINT64_MAX, kStart);
  EXPECT_EQ(limiter.due(), kStart + Nanoseconds(1));
}

}  // namespace
}  // namespace blockpull::job
