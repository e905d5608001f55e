// SPDX-License-Identifier: Apache-2.0
//
// Raw files of odd lengths, and holes.

#include "core/image/raw/raw_image.h"

#include <gtest/gtest.h>

#include "core/io/posix_file.h"
#include "faults/memory_file.h"
#include "files/temp_folder.h"

namespace blockpull::image {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

std::unique_ptr<RawImage> image_of_size(std::size_t size) {
  auto image = RawImage::open(std::make_unique<faults::MemoryFile>(std::vector<std::byte>(size)));
  EXPECT_TRUE(image.ok());
  return std::move(image).value();
}

TEST(RawImage, TheSizeIsRoundedUpToASector) {
  EXPECT_EQ(image_of_size(0)->virtual_size(), 0U);
  EXPECT_EQ(image_of_size(1)->virtual_size(), 512U);
  EXPECT_EQ(image_of_size(513)->virtual_size(), 1024U);
  EXPECT_EQ(image_of_size(1024)->virtual_size(), 1024U);
}

TEST(RawImage, TheLastSectorIsDataToItsEnd) {
  const auto image = image_of_size(513);
  const Result<Extent> extent = image->status({512}, 512);
  ASSERT_TRUE(extent.ok());
  EXPECT_EQ(extent->status, Status::kData);
  EXPECT_EQ(extent->length, 512U);
  EXPECT_EQ(extent->host.value, 512U);
}

TEST(RawImage, HolesAreZerosAndDataLiesWhereTheGuestSeesIt) {
  const files::TempFolder folder;
  auto file = io::PosixFile::create(folder / "disk");
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->truncate(4 * kMiB).ok());
  ASSERT_TRUE((*file)->write_at(kMiB, std::vector<std::byte>(8192, std::byte{1})).ok());
  const auto image = RawImage::open(std::move(file).value());
  ASSERT_TRUE(image.ok());
  const Result<Extent> hole = (*image)->status({512}, 4 * kMiB - 512);
  EXPECT_EQ(hole->status, Status::kZero);
  EXPECT_EQ(hole->length, kMiB - 512);
  const Result<Extent> data = (*image)->status({kMiB + 100}, kMiB);
  EXPECT_EQ(data->status, Status::kData);
  EXPECT_EQ(data->host.value, kMiB + 100);
  EXPECT_EQ(data->length, 8092U);
  const Result<Extent> part = (*image)->status({kMiB + 100}, 10);
  EXPECT_EQ(part->length, 10U);
  const Result<Extent> before = (*image)->status({0}, 4 * kMiB);
  EXPECT_EQ(before->length, kMiB);
  const Result<Extent> tail = (*image)->status({kMiB + 8192}, 3 * kMiB - 8192);
  EXPECT_EQ(tail->status, Status::kZero);
  EXPECT_EQ(tail->length, 3 * kMiB - 8192);
}

TEST(RawImage, ThereIsNothingToInflate) {
  std::vector<std::byte> into(512);
  EXPECT_FALSE(image_of_size(512)->inflate({}, into).ok());
}

}  // namespace
}  // namespace blockpull::image
