// SPDX-License-Identifier: Apache-2.0
//
// What a link makes of an extended L2 entry: only missing subclusters change, no subcluster gets
// both bits, and an entry that another program has changed is refused.

#include "core/image/qcow2/extended_entry.h"

#include <random>

#include <gtest/gtest.h>

#include "files/test_seed.h"

namespace blockpull::image::qcow2 {
namespace {

constexpr std::uint32_t kBits = 16;

std::uint64_t host(std::uint64_t cluster) {
  return cluster << kBits;
}

std::uint64_t bits(std::uint32_t allocated, std::uint32_t zero) {
  return Subclusters(allocated, zero).bitmap();
}

LinkRun new_cluster(std::uint64_t bitmap) {
  return {.guest_cluster = 7, .count = 2, .host_cluster = 40, .bitmap = bitmap};
}

LinkRun in_place(std::uint64_t bitmap) {
  LinkRun run = new_cluster(bitmap);
  run.in_place = true;
  return run;
}

LinkRun zeros(std::uint64_t bitmap) {
  return {.guest_cluster = 7, .count = 2, .zero = true, .bitmap = bitmap};
}

void expect_entry(const std::optional<ExtendedEntry>& entry, std::uint64_t word,
                  std::uint64_t bitmap) {
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->word, word);
  EXPECT_EQ(entry->bitmap, bitmap);
}

TEST(ExtendedEntry, ANewHostClusterKeepsTheZerosOfTheEntry) {
  const ExtendedEntry old{0, bits(0, 0xc0000000)};
  expect_entry(linked_entry(old, new_cluster(bits(6, 1)), 1, kBits), host(41) | kCopied,
               bits(6, 0xc0000001));
}

TEST(ExtendedEntry, InPlaceTheHostClusterStays) {
  const ExtendedEntry old{host(41) | kCopied, bits(7, 0)};
  expect_entry(linked_entry(old, in_place(bits(0x18, 0x20)), 1, kBits), host(41) | kCopied,
               bits(0x1f, 0x20));
}

TEST(ExtendedEntry, ZerosNeedNoHostClusterAndLeaveOneWhereItIs) {
  expect_entry(linked_entry({0, 0}, zeros(bits(0, 0xffffffff)), 0, kBits), 0, bits(0, 0xffffffff));
  expect_entry(linked_entry({host(9) | kCopied, bits(1, 0)}, zeros(bits(0, 2)), 0, kBits),
               host(9) | kCopied, bits(1, 2));
}

TEST(ExtendedEntry, AnEntryThatHasChangedIsRefused) {
  const auto refuses = [](const ExtendedEntry& old, const LinkRun& run) {
    return !linked_entry(old, run, 0, kBits).has_value();
  };
  EXPECT_TRUE(refuses({host(3) | kCopied, 0}, new_cluster(bits(1, 0)))) << "a host cluster";
  EXPECT_TRUE(refuses({host(3) | kCopied, 0}, in_place(bits(1, 0)))) << "another host cluster";
  EXPECT_TRUE(refuses({0, 0}, in_place(bits(1, 0)))) << "no host cluster";
  EXPECT_TRUE(refuses({host(40) | kCopied, bits(1, 0)}, in_place(bits(1, 0)))) << "data";
  EXPECT_TRUE(refuses({host(40) | kCopied, bits(0, 1)}, in_place(bits(1, 0)))) << "zeros";
  EXPECT_TRUE(refuses({host(40) | kCopied, bits(1, 0)}, zeros(bits(0, 1)))) << "data, not zeros";
  EXPECT_TRUE(refuses({kCompressed | 70000, 0}, new_cluster(bits(1, 0)))) << "compressed";
  EXPECT_TRUE(refuses({kCompressed | 70000, 0}, zeros(bits(0, 1)))) << "compressed, zeros";
  EXPECT_TRUE(refuses({0, 0}, zeros(bits(1, 0)))) << "data without a host cluster";
  EXPECT_TRUE(refuses({0, 0}, new_cluster(bits(1, 1)))) << "both bits";
}

TEST(ExtendedEntry, AnyLinkKeepsWhatWasThereAndIsSound) {
  std::mt19937_64 random(test_seed());
  for (int round = 0; round < 20000; ++round) {
    const auto some = [&random] { return static_cast<std::uint32_t>(random() & random()); };
    const bool has_host = random() % 2 == 0;
    const std::uint32_t allocated = has_host ? some() : 0;
    const ExtendedEntry old{has_host ? host(40) | kCopied : 0,
                            bits(allocated, some() & ~allocated)};
    const Subclusters had(old.bitmap);
    const std::uint32_t gets = some() & had.missing();
    const std::uint64_t bitmap = bits(gets, some() & had.missing() & ~gets);
    const auto entry =
        linked_entry(old, has_host ? in_place(bitmap) : new_cluster(bitmap), 0, kBits);
    ASSERT_TRUE(entry.has_value());
    EXPECT_EQ(entry->word, host(40) | kCopied);
    EXPECT_EQ(entry->bitmap & old.bitmap, old.bitmap);
    EXPECT_EQ(entry->bitmap & ~old.bitmap, bitmap);
    EXPECT_TRUE(Subclusters(entry->bitmap).is_sound(true));
  }
}

TEST(Subclusters, RunsOfAMaskAreFoundFromTheLowestOn) {
  std::mt19937_64 random(test_seed());
  for (int round = 0; round < 2000; ++round) {
    const auto mask = static_cast<std::uint32_t>(round == 0 ? ~0U : random() & random());
    std::uint32_t left = mask;
    std::uint32_t seen = 0;
    while (left != 0) {
      const SubclusterRun run = first_run(left);
      ASSERT_LT(run.first, run.end);
      ASSERT_LE(run.end, kSubclusters);
      EXPECT_EQ(run.mask() & ~left, 0U);
      EXPECT_EQ(run.mask() & seen, 0U);
      EXPECT_TRUE(run.end == kSubclusters || (mask >> run.end & 1U) == 0);
      seen |= run.mask();
      left &= ~run.mask();
    }
    EXPECT_EQ(seen, mask);
  }
}

}  // namespace
}  // namespace blockpull::image::qcow2
