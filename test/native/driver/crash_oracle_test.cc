// SPDX-License-Identifier: Apache-2.0
//
// Goal: check the checker that judges crash states. Method: a sample of crash states, and of
// deliberately damaged images, is written to disk; `qemu-img check` and `qemu-img compare` must
// agree with the checker about each.

#include <gtest/gtest.h>

#include "core/base/text.h"
#include "driver/crash_judge.h"
#include "faults/stored_content.h"
#include "files/temp_folder.h"
#include "files/test_seed.h"

namespace blockpull::driver {
namespace {

using faults::BackingFiles;
using faults::Content;
using faults::CrashWalk;
using faults::exit_code;
using faults::RecordedDisk;
using faults::store;
using faults::Verdict;

/// 0: clean, 2: corrupt, 3: leaks only, as qemu-img counts them: up to the end of the file.
int check_code(const Content& image, const Verdict& verdict, std::uint64_t cluster_size) {
  if (!verdict.is_sound()) {
    return 2;
  }
  const bool has_leaks =
      std::any_of(verdict.leaks.begin(), verdict.leaks.end(),
                  [&](std::uint64_t cluster) { return cluster * cluster_size < image.size(); });
  return has_leaks ? 3 : 0;
}

class CrashOracle : public testing::Test {
 protected:
  void SetUp() override { random_.seed(test_seed()); }

  void expect_agreement(const CrashCase& crash_case, const Content& image) {
    const files::TempFolder folder;
    store(image, folder / "active.qcow2");
    for (const auto& [name, backing] : crash_case.backings) {
      store(backing.content, folder / name);
    }
    const Verdict verdict = faults::check_image(image);
    const int expected = check_code(image, verdict, crash_case.top.cluster_size());
    ASSERT_EQ(exit_code("qemu-img check -f qcow2 " + (folder / "active.qcow2")), expected)
        << verdict.summary();
    if (expected == 2) {
      return;
    }
    const auto disk = faults::read_disk(image, crash_case.backings);
    Content flat;
    flat.write(0, disk);
    store(flat, folder / "flat.raw");
    ASSERT_EQ(exit_code("qemu-img compare -f qcow2 -F raw " + (folder / "active.qcow2") + " " +
                        (folder / "flat.raw")),
              0)
        << "the checker reads other bytes than qemu-img";
  }

  std::mt19937_64 random_;
};

TEST_F(CrashOracle, QemuAgreesWithTheCheckerOnCrashStates) {
  for (const CrashCase& crash_case : crash_cases()) {
    // Version 2 without a stated format makes qemu-img probe; the checker does not.
    if (crash_case.top.backing_format.empty()) {
      continue;
    }
    SCOPED_TRACE(crash_case.name);
    const CrashJudge judge(crash_case);
    const auto disk = std::make_shared<RecordedDisk>(judge.start());
    PullScript script;
    script.base = crash_case.base;
    script.trailing = crash_case.trailing();
    script.bandwidth = crash_case.bandwidth;
    ASSERT_TRUE(run_pull(disk, crash_case.backings, script).completed());
    CrashWalk walk(disk->start(), disk->log());
    const std::size_t wanted = is_soak() ? 40 : 2;
    while (walk.next()) {
      if (random_() % disk->log().size() < wanted) {
        const auto& pending = walk.here().pending;
        const auto subsets = faults::choose_subsets(pending.size(), 4, random_);
        expect_agreement(crash_case, walk.here().state(subsets[random_() % subsets.size()]));
      }
    }
    expect_agreement(crash_case, disk->now());
    if (HasFatalFailure()) {
      return;
    }
  }
}

TEST_F(CrashOracle, QemuAgreesWithTheCheckerOnDamagedImages) {
  const CrashCase crash_case = crash_cases().front();
  const std::uint64_t cluster = crash_case.top.cluster_size();
  Content sound = faults::build_image(crash_case.top);
  ASSERT_TRUE(faults::check_image(sound).is_clean());
  // A cluster that nothing uses, to be leaked.
  const std::uint64_t spare = sound.size() / cluster;
  sound.resize(sound.size() + cluster);
  // The first refcount block, an L2 table and the refcount table are found by their entries.
  const auto entry = [&sound](std::uint64_t at) {
    std::uint64_t value = 0;
    for (const std::byte byte : sound.read(at, 8)) {
      value = value << 8U | std::to_integer<std::uint64_t>(byte);
    }
    return value & 0x00fffffffffffe00;
  };
  const std::uint64_t block = entry(cluster);
  const std::uint64_t table = entry(2 * cluster);
  // Refcount 0 for the L1 table, a leak, an entry without "copied", a table outside the file.
  const std::vector<std::pair<std::uint64_t, std::vector<std::byte>>> damages = {
      {block + 2 * 2, std::vector<std::byte>(2)},
      {block + 2 * spare, {std::byte{0}, std::byte{1}}},
      {table + 3 * 8, {std::byte{0}}},
      {2 * cluster, {std::byte{0x80}, std::byte{0}, std::byte{0}, std::byte{1}}},
      {table + 3 * 8, std::vector<std::byte>(8)},
  };
  int damaged = 0;
  for (const auto& [offset, bytes] : damages) {
    Content image = sound;
    image.write(offset, bytes);
    SCOPED_TRACE(text("damage at ", offset));
    damaged += check_code(image, faults::check_image(image), cluster) == 0 ? 0 : 1;
    expect_agreement(crash_case, image);
  }
  EXPECT_EQ(damaged, 5) << "the checker calls a damaged image sound";
}

}  // namespace
}  // namespace blockpull::driver
