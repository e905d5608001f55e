// SPDX-License-Identifier: Apache-2.0
//
// Goal: after a power failure at any time of a repair, no reference, no byte and no flag is worse
// than before, and a further repair finishes. Method: as for pulls in driver/crash_test.cc. Repairs
// run over a recording disk, which then loses, keeps, tears and reorders what no sync had covered.
// Each run tries a sample, or everything with BLOCKPULL_SOAK=1.

#include "core/image/qcow2/repair/repair.h"

#include <set>

#include <gtest/gtest.h>

#include "core/base/text.h"
#include "core/image/qcow2/repair/repair_cases.h"
#include "core/image/qcow2/repair/repair_judge.h"
#include "faults/crash_states.h"
#include "faults/recording_file.h"
#include "files/test_seed.h"

namespace blockpull::image::qcow2 {
namespace {

using faults::Change;
using faults::Content;
using faults::CrashPoint;
using faults::CrashWalk;
using faults::RecordedDisk;
using faults::RecordingFile;

const WalkWatch& wanted() {
  static const WalkWatch watch([] { return true; });
  return watch;
}

Result<CheckReport> repair_disk(const std::shared_ptr<RecordedDisk>& disk, RepairScope scope) {
  BLOCKPULL_TRY(image, Qcow2Image::open_metadata(std::make_unique<RecordingFile>(disk)));
  return repair(*image, scope, wanted());
}

Result<CheckReport> check_content(const Content& content) {
  return check(std::make_unique<RecordingFile>(std::make_shared<RecordedDisk>(content)), wanted());
}

std::string listed(const CheckReport& report) {
  std::string list = text(report.errors, " errors, ", report.leaks, " leaks");
  for (const Finding& finding : report.findings) {
    list += "\n" + finding.message;
  }
  return list;
}

/// Whether an unknown autoclear bit is set. A writer that does not know it has to clear it, and its
/// feature is then no more.
bool has_unknown_bit(const Content& image) {
  return image.read(7, 1)[0] >= std::byte{3} &&
         (image.read(95, 1)[0] & ~std::byte{3}) != std::byte{};
}

/// The fault after a further repair of everything.
std::string fault_after_repair(const RepairJudge& judge, const RepairJudge& later,
                               const Content& content) {
  if (std::string fault = judge.fault_of(content); !fault.empty()) {
    return fault;
  }
  if (has_unknown_bit(judge.start()) && !has_unknown_bit(content)) {
    return {};
  }
  const auto disk = std::make_shared<RecordedDisk>(content);
  if (const auto again = repair_disk(disk, RepairScope::kAll); !again.ok()) {
    return judge.is_understood() ? again.error().message : "";
  }
  if (std::string fault = later.fault_of(disk->now()); !fault.empty()) {
    return "after a further repair: " + fault;
  }
  const auto left = check_content(disk->now());
  if (!left.ok()) {
    return left.error().message;
  }
  const bool is_done = left->errors == 0 && left->leaks == 0;
  return is_done || !judge.is_understood() ? "" : "after a further repair: " + listed(*left);
}

/// Judges states of the disk after a power failure, at about `points` points of the log.
void try_crashes(const RecordedDisk& disk, const RepairJudge& judge, const RepairJudge& later,
                 std::mt19937_64& random) {
  const std::size_t points = is_soak() ? SIZE_MAX : 6;
  const std::size_t states = is_soak() ? 60 : 4;
  CrashWalk walk(disk.start(), disk.log());
  for (std::size_t point = 0; walk.next(); ++point) {
    if (points < disk.log().size() && random() % disk.log().size() >= points) {
      continue;
    }
    const CrashPoint& here = walk.here();
    for (const auto& kept : faults::choose_subsets(here.pending.size(), states, random)) {
      ASSERT_EQ(fault_after_repair(judge, later, here.state(kept)), "")
          << "after entry " << point << " of " << disk.log().size() << ", "
          << std::count(kept.begin(), kept.end(), true) << " of " << kept.size()
          << " pending fragments kept";
    }
  }
}

/// A repair of a damaged image, and a crash at each of its points.
void try_repair(const RepairCase& repair_case, RepairScope scope, std::mt19937_64& random) {
  const RepairJudge judge(repair_case.image, repair_case.is_understood);
  const RepairJudge later(repair_case.image,
                          repair_case.is_understood || repair_case.may_become_understood);
  const auto disk = std::make_shared<RecordedDisk>(repair_case.image);
  const auto found = repair_disk(disk, scope);
  if (!found.ok()) {
    // A damaged entry may leave a part of a cluster at the end, as another program does.
    const bool is_behind = found.error().kind == ErrorKind::kFeatureUnsupported;
    ASSERT_TRUE(!repair_case.is_understood || is_behind) << found.error().message;
    ASSERT_TRUE(disk->log().empty()) << found.error().message;
    return;
  }
  ASSERT_EQ(judge.fault_of(disk->now()), "") << listed(*found);
  const auto left = check_content(disk->now());
  ASSERT_TRUE(left.ok());
  if (repair_case.is_understood && (scope == RepairScope::kAll || found->errors == 0)) {
    ASSERT_EQ(left->errors + left->leaks, 0U) << listed(*left) << "\nbefore: " << listed(*found);
  }
  ASSERT_LE(left->errors, found->errors) << listed(*left);
  if (!disk->log().empty()) {
    ASSERT_TRUE(disk->log().back().kind == Change::Kind::kSync ||
                disk->log().back().kind == Change::Kind::kPunch);
  }
  try_crashes(*disk, judge, later, random);
}

std::vector<RepairCase> all_images() {
  std::vector<RepairCase> cases = written_images();
  for (RepairCase& each : images_by_qemu()) {
    cases.push_back(std::move(each));
  }
  return cases;
}

class RepairCrash : public testing::Test {
 protected:
  static void SetUpTestSuite() { images_ = all_images(); }
  static void TearDownTestSuite() { images_.clear(); }
  void SetUp() override { random_.seed(test_seed()); }

  static std::vector<RepairCase> images_;
  std::mt19937_64 random_;
};

std::vector<RepairCase> RepairCrash::images_;

TEST_F(RepairCrash, OfEachDamageAnyStateIsNoWorseAndAFurtherRepairFinishes) {
  for (const RepairCase& image : images_) {
    for (std::size_t kind = 0; kind < kDamages; ++kind) {
      RepairCase damaged = image;
      damage(damaged, static_cast<Damage>(kind), random_);
      SCOPED_TRACE(text(image.name, ", damage ", kind));
      try_repair(damaged, RepairScope::kAll, random_);
      if (HasFatalFailure()) {
        return;
      }
    }
  }
}

TEST_F(RepairCrash, OfLeaksAnyStateIsNoWorse) {
  for (const RepairCase& image : images_) {
    for (const Damage kind : {Damage::kHighRefcount, Damage::kLeak, Damage::kLowRefcount}) {
      RepairCase damaged = image;
      damage(damaged, Damage::kLeak, random_);
      damage(damaged, kind, random_);
      SCOPED_TRACE(text(image.name, ", damage ", static_cast<int>(kind)));
      try_repair(damaged, RepairScope::kLeaks, random_);
      if (HasFatalFailure()) {
        return;
      }
    }
  }
}

TEST_F(RepairCrash, OfRandomDamagesAnyStateIsNoWorseAndAFurtherRepairFinishes) {
  for (int round = 0; round < (is_soak() ? 3000 : 150); ++round) {
    const std::uint64_t seed = random_();
    std::mt19937_64 own(seed);
    RepairCase damaged = images_[own() % images_.size()];
    // In their order: the file does not grow behind a reference that leads outside.
    std::multiset<std::uint64_t> kinds;
    for (std::uint64_t left = 1 + own() % 4; left > 0; --left) {
      kinds.insert(own() % kDamages);
    }
    std::string names;
    for (const std::uint64_t kind : kinds) {
      damage(damaged, static_cast<Damage>(kind), own);
      names += text(" ", kind);
    }
    SCOPED_TRACE(
        text("round ", round, ", its seed ", seed, ", ", damaged.name, ", damages", names));
    try_repair(damaged, RepairScope::kAll, own);
    if (HasFatalFailure()) {
      return;
    }
  }
}

}  // namespace
}  // namespace blockpull::image::qcow2
