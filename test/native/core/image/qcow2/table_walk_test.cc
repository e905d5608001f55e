// SPDX-License-Identifier: Apache-2.0
//
// Runs over L2 entries: each kind of entry alone, every join and every end of a run, damage, and
// random tables against a model that handles one sector at a time.

#include "core/image/qcow2/table_walk.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/image/qcow2/l2_entry.h"
#include "files/test_seed.h"

namespace blockpull::image::qcow2 {
namespace {

constexpr std::uint64_t kCluster = 65536;
constexpr TableShape kPlain{16, 3, false};
constexpr TableShape kVersion2{16, 2, false};
constexpr TableShape kExtended{16, 3, true};
constexpr std::uint64_t kSub = kCluster / kSubclusters;

std::vector<std::byte> table(std::initializer_list<std::uint64_t> words) {
  std::vector<std::byte> bytes(words.size() * 8);
  std::size_t offset = 0;
  for (const std::uint64_t word : words) {
    put_be_at<std::uint64_t>(bytes, offset, word);
    offset += 8;
  }
  return bytes;
}

TableRun walk(const TableShape& shape, std::initializer_list<std::uint64_t> words,
              std::uint64_t offset = 0, std::uint64_t length = ~std::uint64_t{0} >> 1U) {
  return walk_entries(shape, table(words), offset, length);
}

TEST(TableWalk, DataContinuesWhileItIsContiguousInTheFile) {
  const TableRun run = walk(kPlain, {5 * kCluster | kCopied, 6 * kCluster, 7 * kCluster | kCopied,
                                     9 * kCluster, 10 * kCluster});
  EXPECT_EQ(run.extent.status, Status::kData);
  EXPECT_EQ(run.extent.host.value, 5 * kCluster);
  EXPECT_EQ(run.extent.length, 3 * kCluster);
}

TEST(TableWalk, ARunBeginsInsideAClusterAndEndsAtTheLimit) {
  const TableRun inside = walk(kPlain, {5 * kCluster, 6 * kCluster}, 1000);
  EXPECT_EQ(inside.extent.host.value, 5 * kCluster + 1000);
  EXPECT_EQ(inside.extent.length, 2 * kCluster - 1000);
  const TableRun cut = walk(kPlain, {5 * kCluster, 6 * kCluster}, 1000, kCluster);
  EXPECT_EQ(cut.extent.length, kCluster);
}

TEST(TableWalk, ZerosJoinWhateverLiesBehindThem) {
  const TableRun run = walk(kPlain, {kZero, 9 * kCluster | kZero | kCopied, kZero, 0});
  EXPECT_EQ(run.extent.status, Status::kZero);
  EXPECT_EQ(run.extent.length, 3 * kCluster);
}

TEST(TableWalk, UnallocatedEntriesFormOneRun) {
  const TableRun run = walk(kPlain, {0, 0, 5 * kCluster});
  EXPECT_EQ(run.extent.status, Status::kUnallocated);
  EXPECT_EQ(run.extent.length, 2 * kCluster);
}

TEST(TableWalk, ReservedBitsAreIgnored) {
  constexpr std::uint64_t kReserved = 0x3f000000000001fe;
  const TableRun nothing = walk(kPlain, {kReserved, kCopied | kReserved, 0, kZero});
  EXPECT_EQ(nothing.extent.status, Status::kUnallocated);
  EXPECT_EQ(nothing.extent.length, 3 * kCluster);
  const TableRun data = walk(kPlain, {5 * kCluster | kReserved, 6 * kCluster});
  EXPECT_EQ(data.extent.status, Status::kData);
  EXPECT_EQ(data.extent.host.value, 5 * kCluster);
  EXPECT_EQ(data.extent.length, 2 * kCluster);
}

TEST(TableWalk, ACompressedClusterIsARunOfItsOwn) {
  // Offset 70000, three more sectors.
  const std::uint64_t entry = kCompressed | (std::uint64_t{3} << 54U) | 70000;
  const TableRun run = walk(kPlain, {entry, entry}, 512);
  EXPECT_EQ(run.extent.status, Status::kCompressed);
  EXPECT_EQ(run.extent.length, kCluster - 512);
  EXPECT_EQ(run.extent.offset_in_cluster, 512U);
  EXPECT_EQ(run.extent.host.value, 70000U);
  EXPECT_EQ(run.extent.compressed_length, 4 * 512 - 70000 % 512U);
}

TEST(TableWalk, CompressedFieldsAreCutWhereTheClusterSizeSays) {
  for (std::uint32_t bits = 9; bits <= 21; ++bits) {
    const std::uint32_t x = 62 - (bits - 8);
    const std::uint64_t most = (std::uint64_t{1} << (bits - 8)) - 1;
    const CompressedCluster cluster = decode_compressed(kCompressed | most << x | 513, bits);
    EXPECT_EQ(cluster.offset, 513U);
    EXPECT_EQ(cluster.length, (most + 1) * 512 - 1);
    EXPECT_LE(cluster.length, std::uint64_t{2} << bits);
  }
}

TEST(TableWalk, DamageAtTheBeginningIsAFault) {
  EXPECT_EQ(walk(kPlain, {0x42a00}).fault, EntryFault::kUnaligned);
  EXPECT_EQ(walk(kPlain, {0x42a00 | kZero}).fault, EntryFault::kUnaligned);
  EXPECT_EQ(walk(kVersion2, {kZero}).fault, EntryFault::kZeroInVersion2);
  EXPECT_EQ(walk(kVersion2, {5 * kCluster | kZero}).fault, EntryFault::kZeroInVersion2);
  EXPECT_EQ(walk({9, 3, false}, {kCompressed | std::uint64_t{1} << 56U}).fault,
            EntryFault::kCompressedTooFar);
}

TEST(TableWalk, DamageFurtherOnEndsTheRunBeforeIt) {
  for (const auto& [good, bad] :
       {std::pair(std::uint64_t{0}, std::uint64_t{0x42a00}), std::pair(kZero, 0x42a00 | kZero)}) {
    const TableRun run = walk(kPlain, {good, good, bad});
    EXPECT_EQ(run.fault, EntryFault::kNone);
    EXPECT_EQ(run.extent.length, 2 * kCluster);
  }
  EXPECT_EQ(walk(kVersion2, {0, kZero}).extent.length, kCluster);
}

TEST(TableWalk, EveryFaultHasASentence) {
  for (const EntryFault fault : {EntryFault::kUnaligned, EntryFault::kZeroInVersion2,
                                 EntryFault::kCompressedTooFar, EntryFault::kBitmap}) {
    EXPECT_GT(std::string_view(fault_text(fault)).size(), 10U);
  }
}

TEST(TableWalk, SubclustersAreRunsOfTheirOwn) {
  // Data in 0..3, zeros in 4..7, the layer below from 8 on.
  const std::uint64_t bitmap = std::uint64_t{0xf0} << 32U | 0x0f;
  const std::vector<std::byte> entries = table({5 * kCluster, bitmap, 0, 0});
  const TableRun data = walk_entries(kExtended, entries, kSub, kCluster);
  EXPECT_EQ(data.extent.status, Status::kData);
  EXPECT_EQ(data.extent.host.value, 5 * kCluster + kSub);
  EXPECT_EQ(data.extent.length, 3 * kSub);
  const TableRun zero = walk_entries(kExtended, entries, 4 * kSub, kCluster);
  EXPECT_EQ(zero.extent.status, Status::kZero);
  EXPECT_EQ(zero.extent.length, 4 * kSub);
  const TableRun below = walk_entries(kExtended, entries, 8 * kSub, 4 * kCluster);
  EXPECT_EQ(below.extent.status, Status::kUnallocated);
  EXPECT_EQ(below.extent.length, 24 * kSub + kCluster);
}

TEST(TableWalk, SubclustersJoinAcrossClusters) {
  const TableRun run =
      walk(kExtended, {5 * kCluster, 0xffffffff, 6 * kCluster, 0x0fffffff, 7 * kCluster, 1});
  EXPECT_EQ(run.extent.length, kCluster + 28 * kSub);
  const TableRun apart = walk(kExtended, {5 * kCluster, 0xffffffff, 8 * kCluster, 0xffffffff});
  EXPECT_EQ(apart.extent.length, kCluster);
  const TableRun zeros = walk(kExtended, {0, std::uint64_t{0xffffffff} << 32U, 8 * kCluster,
                                          std::uint64_t{0xffffffff} << 32U});
  EXPECT_EQ(zeros.extent.status, Status::kZero);
  EXPECT_EQ(zeros.extent.length, 2 * kCluster);
}

TEST(TableWalk, ABitmapThatContradictsItselfIsAFault) {
  EXPECT_EQ(walk(kExtended, {5 * kCluster, std::uint64_t{1} << 32U | 1}).fault,
            EntryFault::kBitmap);
  EXPECT_EQ(walk(kExtended, {0, 1}).fault, EntryFault::kBitmap);
  EXPECT_EQ(walk(kExtended, {0x42a00, 1}).fault, EntryFault::kUnaligned);
  const TableRun later = walk(kExtended, {0, 0, 0, 1});
  EXPECT_EQ(later.fault, EntryFault::kNone);
  EXPECT_EQ(later.extent.length, kCluster);
}

TEST(TableWalk, ACompressedClusterWithSubclustersIgnoresBit0AndBitmap) {
  EXPECT_EQ(walk(kExtended, {kZero, 0}).extent.status, Status::kUnallocated);
  const TableRun run = walk(kExtended, {kCompressed | 70000, ~std::uint64_t{0}});
  EXPECT_EQ(run.fault, EntryFault::kNone);
  EXPECT_EQ(run.extent.status, Status::kCompressed);
}

/// The status of one sector, computed without runs.
Extent model_sector(const TableShape& shape, std::span<const std::byte> entries,
                    std::uint64_t position) {
  const std::uint64_t size = shape.has_subclusters ? kExtendedEntryBytes : kEntryBytes;
  const std::uint64_t index = position / shape.cluster_size();
  const auto entry = be_at<std::uint64_t>(entries, index * size);
  const std::uint64_t inside = position % shape.cluster_size();
  Extent extent;
  if ((entry & kCompressed) != 0) {
    extent.status = Status::kCompressed;
    extent.host = {entry & 0xffffff};
    extent.offset_in_cluster = inside;
    return extent;
  }
  bool zero = (entry & kZero) != 0;
  bool data = !zero && (entry & kOffsetMask) != 0;
  if (shape.has_subclusters) {
    const auto bitmap = be_at<std::uint64_t>(entries, index * size + 8);
    const std::uint64_t sub = inside / (shape.cluster_size() / kSubclusters);
    zero = (bitmap >> (32 + sub) & 1U) != 0;
    data = (bitmap >> sub & 1U) != 0;
  }
  extent.status = zero ? Status::kZero : data ? Status::kData : Status::kUnallocated;
  extent.host = {data ? (entry & kOffsetMask) + inside : 0};
  return extent;
}

std::vector<std::byte> random_table(const TableShape& shape, std::mt19937_64& random) {
  std::vector<std::byte> bytes;
  const auto append = [&bytes](std::uint64_t word) {
    bytes.resize(bytes.size() + 8);
    put_be_at<std::uint64_t>(bytes, bytes.size() - 8, word);
  };
  std::uint64_t host = 8;
  for (int i = 0; i < 24; ++i) {
    const unsigned kind = random() % 8;
    host += random() % 4 == 0 ? 2 : 1;
    const bool has_host = kind < 4;
    const std::uint64_t place = has_host ? host * shape.cluster_size() : 0;
    if (kind == 7) {
      append(kCompressed | 0x10000 | random() % 512);
    } else {
      append(place | (!shape.has_subclusters && random() % 3 == 0 ? kZero : 0));
    }
    if (shape.has_subclusters) {
      const std::uint64_t coarse = random() % 3 == 0 ? 0xffffffff : random() & 0xffff00ff;
      const std::uint64_t allocated = has_host ? coarse : 0;
      append(allocated | (random() & ~allocated & 0xffffffff & (random() % 2 == 0 ? 0 : ~0U))
                             << 32U);
    }
  }
  return bytes;
}

TEST(TableWalk, RandomTablesAgreeWithASectorModel) {
  std::mt19937_64 random(test_seed());
  for (int round = 0; round < 200; ++round) {
    const TableShape shape{static_cast<std::uint32_t>(14 + random() % 3), 3, random() % 2 == 0};
    const std::vector<std::byte> entries = random_table(shape, random);
    const std::uint64_t entry_bytes = shape.has_subclusters ? kExtendedEntryBytes : kEntryBytes;
    const std::uint64_t end = entries.size() / entry_bytes * shape.cluster_size();
    for (std::uint64_t position = random() % 8 * 512; position < end;) {
      const auto rest = std::span(entries).subspan(position / shape.cluster_size() * entry_bytes);
      const std::uint64_t length = std::min<std::uint64_t>(end - position, 1 + random() % 999999);
      const TableRun run = walk_entries(shape, rest, position % shape.cluster_size(), length);
      ASSERT_EQ(run.fault, EntryFault::kNone);
      ASSERT_GE(run.extent.length, 1U);
      ASSERT_LE(run.extent.length, length);
      for (std::uint64_t at = 0; at < run.extent.length; at += 512) {
        const Extent sector = model_sector(shape, entries, position + at);
        ASSERT_EQ(sector.status, run.extent.status) << position << "+" << at;
        if (sector.status == Status::kData) {
          ASSERT_EQ(sector.host.value, run.extent.host.value + at);
        }
      }
      position += run.extent.length;
    }
  }
}

/// For any bits of entries, a row gives the same as the runs.
TEST(TableWalk, RowsAgreeWithRuns) {
  std::mt19937_64 random(test_seed());
  constexpr std::uint64_t kFileSize = std::uint64_t{1} << 40U;
  const std::uint64_t masks[] = {kCopied | kZero | (kOffsetMask & ~(kCluster - 1)),
                                 ~std::uint64_t{0}, kCompressed | (kFileSize * 2 - 1), 0};
  std::size_t damaged = 0;
  for (int round = 0; round < 2000; ++round) {
    const TableShape& shape = round % 4 == 0 ? kVersion2 : kPlain;
    std::vector<std::byte> entries(20 * kEntryBytes);
    for (std::size_t i = 0; i < 20; ++i) {
      put_be_at<std::uint64_t>(entries, i * kEntryBytes,
                               random() & masks[random() % (random() % 8 == 0 ? 4 : 1)]);
    }
    std::vector<Status> row(1 + random() % 20);
    const std::size_t told = classify_entries(shape, entries, kFileSize, row);
    ASSERT_LE(told, row.size());
    for (std::size_t i = 0; i < row.size() && i <= told; ++i) {
      const auto run = walk_entries(shape, std::span(entries).subspan(i * kEntryBytes), 0, 512);
      const bool is_outside =
          run.extent.status == Status::kCompressed && run.extent.host.value >= kFileSize;
      ASSERT_EQ(i < told, run.fault == EntryFault::kNone && !is_outside) << "entry " << i;
      if (i < told) {
        ASSERT_EQ(row[i], run.extent.status) << "entry " << i;
      }
    }
    damaged += told < row.size() ? 1 : 0;
  }
  EXPECT_GT(damaged, 0U);
  EXPECT_LT(damaged, 2000U);
}

}  // namespace
}  // namespace blockpull::image::qcow2
