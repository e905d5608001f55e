// SPDX-License-Identifier: Apache-2.0
//
// Goal: a repair whose writes or syncs fail reports the error, leaves the image no worse, and
// writes nothing after a failed sync; and a repair that cannot help writes nothing. Method: a
// recording disk that fails on demand.

#include <algorithm>

#include <gtest/gtest.h>

#include "core/base/text.h"
#include "core/image/qcow2/repair/repair.h"
#include "core/image/qcow2/repair/repair_cases.h"
#include "core/image/qcow2/repair/repair_judge.h"
#include "faults/image_recipe.h"
#include "faults/recording_file.h"
#include "files/test_seed.h"

namespace blockpull::image::qcow2 {
namespace {

using faults::Change;
using faults::Content;
using faults::ImageRecipe;
using faults::RecordedDisk;
using faults::RecordingFile;

Result<CheckReport> repair_disk(const std::shared_ptr<RecordedDisk>& disk, RepairScope scope) {
  BLOCKPULL_TRY(image, Qcow2Image::open_metadata(std::make_unique<RecordingFile>(disk)));
  return repair(*image, scope, WalkWatch([] { return true; }));
}

/// Leaks, a refcount that is too low, and flags that are wrong.
RepairCase broken(std::mt19937_64& random) {
  ImageRecipe recipe;
  recipe.virtual_size = 512 * 150;
  recipe.data_clusters = {0, 1, 2, 3, 64, 66};
  recipe.leaked_clusters = 3;
  RepairCase made{"broken", faults::build_image(recipe), true};
  for (const Damage kind : {Damage::kLowRefcount, Damage::kHighRefcount, Damage::kSharedData,
                            Damage::kFlag, Damage::kFlag}) {
    damage(made, kind, random);
  }
  return made;
}

/// Only leaks.
RepairCase leaking() {
  ImageRecipe recipe;
  recipe.virtual_size = 512 * 150;
  recipe.data_clusters = {0, 1, 2, 3, 64, 66};
  recipe.leaked_clusters = 3;
  return {"leaking", faults::build_image(recipe), true};
}

class RepairFaults : public testing::Test {
 protected:
  void SetUp() override { random_.seed(test_seed()); }

  /// Repairs with one fault after another, each a call later, until a repair succeeds.
  template <typename SetFault>
  void try_faults(const RepairCase& repair_case, const SetFault& set) {
    const RepairJudge judge(repair_case.image, repair_case.is_understood);
    for (std::uint64_t call = 0;; ++call) {
      ASSERT_LT(call, 1000U);
      const auto disk = std::make_shared<RecordedDisk>(repair_case.image);
      set(disk->faults, call);
      const auto repaired = repair_disk(disk, RepairScope::kAll);
      ASSERT_EQ(judge.fault_of(disk->now()), "") << "call " << call;
      if (repaired.ok()) {
        ASSERT_GT(call, 0U);
        return;
      }
      if (disk->sync_failed()) {
        ASSERT_EQ(disk->log().back().kind, Change::Kind::kFailedSync) << "call " << call;
      }
      const auto again = std::make_shared<RecordedDisk>(disk->now());
      ASSERT_TRUE(repair_disk(again, RepairScope::kAll).ok()) << "call " << call;
      ASSERT_EQ(judge.fault_of(again->now()), "") << "call " << call;
    }
  }

  std::mt19937_64 random_;
};

TEST_F(RepairFaults, AFailingWriteIsReportedAndLeavesTheImageNoWorse) {
  for (const bool tears : {false, true}) {
    for (const RepairCase& image : {broken(random_), leaking()}) {
      try_faults(image, [&](faults::Faults& faults, std::uint64_t call) {
        faults.failing_write = call;
        faults.tears_failing_write = tears;
      });
    }
  }
}

TEST_F(RepairFaults, AfterAFailingSyncNothingIsWritten) {
  for (const RepairCase& image : {broken(random_), leaking()}) {
    try_faults(image,
               [](faults::Faults& faults, std::uint64_t call) { faults.failing_sync = call; });
  }
}

TEST_F(RepairFaults, WithoutSpaceTheFileIsAsLongAsBefore) {
  for (const bool can_preallocate : {true, false}) {
    RepairCase image = leaking();
    damage(image, Damage::kMissingBlock, random_);
    const auto disk = std::make_shared<RecordedDisk>(image.image);
    disk->faults.space = image.image.size();
    disk->faults.can_preallocate = can_preallocate;
    const auto repaired = repair_disk(disk, RepairScope::kAll);
    ASSERT_FALSE(repaired.ok());
    EXPECT_EQ(repaired.error().kind, ErrorKind::kNoSpace);
    EXPECT_EQ(disk->now().size(), image.image.size());
    EXPECT_EQ(RepairJudge(image.image, true).fault_of(disk->now()), "");
  }
}

/// The error of a repair, which must not have written anything.
Error refusal_of(const Content& image, RepairScope scope) {
  const auto disk = std::make_shared<RecordedDisk>(image);
  const auto repaired = repair_disk(disk, scope);
  EXPECT_TRUE(disk->log().empty());
  return repaired.ok() ? make_error(ErrorKind::kIo, "no error") : repaired.error();
}

TEST_F(RepairFaults, OfAFileThatWasCutShortNothingIsWritten) {
  RepairCase image = leaking();
  damage(image, Damage::kMissingBlock, random_);
  damage(image, Damage::kReferenceOutside, random_);
  const Error error = refusal_of(image.image, RepairScope::kAll);
  EXPECT_EQ(error.kind, ErrorKind::kImageCorrupt);
  EXPECT_NE(error.message.find("refers to places behind its end"), std::string::npos);
}

TEST_F(RepairFaults, BytesOfAnotherProgramStayAtTheEnd) {
  RepairCase image = leaking();
  damage(image, Damage::kMissingBlock, random_);
  image.image.write(image.image.size(), faults::pattern(3, 100));
  const Error error = refusal_of(image.image, RepairScope::kAll);
  EXPECT_EQ(error.kind, ErrorKind::kFeatureUnsupported);
  EXPECT_NE(error.message.find("bytes of another program"), std::string::npos);
}

/// A refcount behind the end of the file counts too: the flag of the entry is right.
TEST_F(RepairFaults, AFileThatWasCutShortKeepsTheFlagsThatAreRight) {
  RepairCase image = leaking();
  const Picture whole = picture_of(image.image);
  const auto last =
      std::max_element(whole.entries.begin(), whole.entries.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  image.image.resize((last->second - 1) * 512);
  std::vector<std::byte> entry = image.image.read(whole.entries.begin()->first, 8);
  entry[0] &= std::byte{0x7f};
  image.image.write(whole.entries.begin()->first, entry);
  const auto disk = std::make_shared<RecordedDisk>(image.image);
  ASSERT_TRUE(repair_disk(disk, RepairScope::kAll).ok());
  EXPECT_TRUE(picture_of(disk->now()).copied.contains(last->first));
}

/// QEMU takes the cluster in which another program's bytes begin, and dies before it writes there.
TEST_F(RepairFaults, BytesOfAnotherProgramInALeakStay) {
  RepairCase image = leaking();
  std::uint64_t last = 0;
  for (const auto& each : picture_of(image.image).used) {
    last = std::max(last, (each.first + 1) * 512);
  }
  ASSERT_GT(image.image.size(), last) << "no leak is behind the image";
  const std::uint64_t behind = image.image.size() - last + 100;
  image.image.write(last, faults::pattern(3, behind));
  const auto disk = std::make_shared<RecordedDisk>(image.image);
  ASSERT_TRUE(repair_disk(disk, RepairScope::kLeaks).ok());
  EXPECT_FALSE(disk->log().empty());
  EXPECT_EQ(disk->now().read(last, behind), image.image.read(last, behind));
}

TEST_F(RepairFaults, WhatCannotBeHelpedIsLeftWithoutAWrite) {
  RepairCase odd = leaking();
  damage(odd, Damage::kReservedBit, random_);
  ImageRecipe recipe;
  recipe.virtual_size = 512 * 150;
  recipe.data_clusters = {0, 5};
  recipe.leaked_clusters = 2;
  recipe.autoclear = 0x80;
  const Content unknown = faults::build_image(recipe);
  for (const Content& image : {odd.image, unknown}) {
    for (const RepairScope scope : {RepairScope::kLeaks, RepairScope::kAll}) {
      const auto disk = std::make_shared<RecordedDisk>(image);
      ASSERT_TRUE(repair_disk(disk, scope).ok());
      EXPECT_TRUE(disk->log().empty());
    }
  }
}

TEST_F(RepairFaults, WithErrorsLeaksAreNotTakenBack) {
  RepairCase image = leaking();
  damage(image, Damage::kMissingBlock, random_);
  const auto disk = std::make_shared<RecordedDisk>(image.image);
  ASSERT_TRUE(repair_disk(disk, RepairScope::kLeaks).ok());
  EXPECT_TRUE(disk->log().empty());
}

/// One bit states no second reference, so a flag would be a promise that nothing backs.
TEST_F(RepairFaults, WhereARefcountCannotCountEveryReferenceNoFlagIsSet) {
  ImageRecipe recipe;
  recipe.refcount_order = 0;
  recipe.virtual_size = 512 * 50;
  recipe.data_clusters = {0, 1};
  Content image = faults::build_image(recipe);
  const Picture before = picture_of(image);
  const std::uint64_t first = std::prev(before.entries.end(), 2)->first;
  std::vector<std::byte> entry = image.read(first, 8);
  entry[0] = std::byte{0};
  image.write(first, entry);
  image.write(first + 8, entry);
  const auto disk = std::make_shared<RecordedDisk>(image);
  ASSERT_TRUE(repair_disk(disk, RepairScope::kAll).ok());
  EXPECT_FALSE(picture_of(disk->now()).copied.contains(first));
  EXPECT_FALSE(picture_of(disk->now()).copied.contains(first + 8));
}

}  // namespace
}  // namespace blockpull::image::qcow2
