// SPDX-License-Identifier: Apache-2.0
//
// What the cache shows is always what the file has.

#include "core/image/qcow2/table_cache.h"

#include <random>

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/limits.h"
#include "faults/memory_file.h"
#include "files/test_seed.h"

namespace blockpull::image::qcow2 {
namespace {

constexpr std::uint64_t kSlice = limits::kTableSlice;

std::vector<std::byte> numbered(std::uint64_t size) {
  std::vector<std::byte> bytes(size);
  for (std::uint64_t offset = 0; offset + 8 <= size; offset += 8) {
    put_be_at<std::uint64_t>(bytes, offset, offset + 1);
  }
  return bytes;
}

TEST(TableCache, EntriesAreThoseOfTheFile) {
  faults::MemoryFile file(numbered(8 * kSlice));
  TableCache cache(file);
  for (const std::uint64_t offset : {std::uint64_t{0}, kSlice - 8, kSlice, 7 * kSlice + 16}) {
    EXPECT_EQ(*cache.load(offset), offset + 1);
  }
}

TEST(TableCache, AViewReachesToTheEndOfItsSlice) {
  faults::MemoryFile file(numbered(8 * kSlice));
  TableCache cache(file);
  const auto view = cache.view(2 * kSlice + 64);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->size(), kSlice - 64);
  EXPECT_EQ(be_at<std::uint64_t>(*view, 8), 2 * kSlice + 64 + 8 + 1);
}

TEST(TableCache, ASliceIsReadOnceWhileItIsInUse) {
  faults::MemoryFile file(numbered(8 * kSlice));
  TableCache cache(file);
  for (std::uint64_t offset = 0; offset < kSlice; offset += 8) {
    ASSERT_TRUE(cache.load(offset).ok());
    ASSERT_TRUE(cache.load(3 * kSlice).ok());
  }
  EXPECT_EQ(file.reads(), 2U);
}

TEST(TableCache, EvictsTheLeastRecentlyUsedSlice) {
  faults::MemoryFile file(numbered(8 * kSlice));
  TableCache cache(file);
  for (std::uint64_t slice = 0; slice <= limits::kSlicesPerLayer; ++slice) {
    ASSERT_TRUE(cache.load(slice * kSlice).ok());
    ASSERT_TRUE(cache.load(0).ok());
  }
  const std::size_t before = file.reads();
  ASSERT_TRUE(cache.load(0).ok());
  EXPECT_EQ(file.reads(), before);
  ASSERT_TRUE(cache.load(kSlice).ok());
  EXPECT_EQ(file.reads(), before + 1);
}

TEST(TableCache, StoresAreSeenByTheCacheAndByTheFile) {
  faults::MemoryFile file(numbered(8 * kSlice));
  TableCache cache(file);
  ASSERT_TRUE(cache.load(0).ok());
  ASSERT_TRUE(cache.load(kSlice).ok());
  // Across the boundary of two slices that are both in memory.
  std::vector<std::byte> bytes(16);
  put_be_at<std::uint64_t>(bytes, 0, 111);
  put_be_at<std::uint64_t>(bytes, 8, 222);
  ASSERT_TRUE(cache.store(kSlice - 8, bytes).ok());
  EXPECT_EQ(*cache.load(kSlice - 8), 111U);
  EXPECT_EQ(*cache.load(kSlice), 222U);
  EXPECT_EQ(be_at<std::uint64_t>(file.bytes(), kSlice), 222U);
}

TEST(TableCache, WhatLiesBehindTheFileIsZero) {
  faults::MemoryFile file(numbered(100));
  TableCache cache(file);
  EXPECT_EQ(*cache.load(88), 89U);
  EXPECT_EQ(*cache.load(kSlice * 5), 0U);
}

TEST(TableCache, RandomLoadsAndStoresAgreeWithAPlainArray) {
  std::mt19937_64 random(test_seed());
  std::vector<std::byte> model = numbered(8 * kSlice);
  faults::MemoryFile file(model);
  TableCache cache(file);
  for (int round = 0; round < 20000; ++round) {
    const std::uint64_t offset = random() % (model.size() / 8) * 8;
    if (random() % 4 == 0) {
      std::vector<std::byte> bytes(
          std::min<std::uint64_t>(8 + random() % 5 * 8, model.size() - offset));
      put_be_at<std::uint64_t>(bytes, 0, random());
      ASSERT_TRUE(cache.store(offset, bytes).ok());
      std::copy(bytes.begin(), bytes.end(), model.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    ASSERT_EQ(*cache.load(offset), be_at<std::uint64_t>(model, offset));
  }
  EXPECT_EQ(file.bytes(), model);
}

}  // namespace
}  // namespace blockpull::image::qcow2
