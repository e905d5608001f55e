// SPDX-License-Identifier: Apache-2.0
//
// status() over whole images: joins across slices and tables, absent tables in one run, and damaged
// tables.

#include "core/image/qcow2/qcow2_image.h"

#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "core/image/qcow2/sample_image.h"

namespace blockpull::image::qcow2 {
namespace {

std::unique_ptr<Qcow2Image> opened(const SampleImage& sample) {
  auto image = sample.open();
  EXPECT_TRUE(image.ok()) << image.error().message;
  return std::move(image).value();
}

std::string damage_at(Qcow2Image& image, std::uint64_t offset) {
  const Result<Extent> extent = image.status({offset}, 512);
  if (extent.ok()) {
    return "none";
  }
  EXPECT_EQ(extent.error().kind, ErrorKind::kImageCorrupt);
  EXPECT_EQ(extent.error().path, "sample.qcow2");
  return extent.error().message;
}

TEST(Qcow2Image, DistinguishesEveryKindOfCluster) {
  SampleImage sample;
  const std::uint64_t size = sample.cluster_size();
  sample.set_l2(1, sample.at(5) | kCopied);
  sample.set_l2(2, sample.at(6) | kCopied);
  sample.set_l2(3, kZero);
  sample.set_l2(4, kCompressed | sample.at(7));
  const auto image = opened(sample);
  const struct {
    std::uint64_t first;
    std::uint64_t count;
    Status status;
  } rows[] = {{0, 1, Status::kUnallocated},
              {1, 2, Status::kData},
              {3, 1, Status::kZero},
              {4, 1, Status::kCompressed},
              {5, 59, Status::kUnallocated}};
  for (const auto& row : rows) {
    const Result<Extent> extent =
        image->status({row.first * size}, image->virtual_size() - row.first * size);
    ASSERT_TRUE(extent.ok());
    EXPECT_EQ(extent->status, row.status) << row.first;
    EXPECT_EQ(extent->length, row.count * size) << row.first;
  }
  EXPECT_EQ(image->status({size + 700}, 100)->host.value, sample.at(5) + 700);
}

TEST(Qcow2Image, ARunContinuesAcrossSlicesAndTables) {
  // Two L2 tables of 64 KiB, four slices each, all data in a row.
  SampleImage sample(16, 3, 16384);
  const std::uint64_t size = sample.cluster_size();
  sample.set64(sample.at(SampleImage::kL1Cluster) + 8, sample.at(5));
  for (std::uint64_t i = 0; i < 16384; ++i) {
    sample.set64(sample.at(SampleImage::kL2Cluster) + i * 8, (100 + i) * size);
  }
  const auto image = opened(sample);
  const Result<Extent> extent = image->status({512}, image->virtual_size() - 512);
  ASSERT_TRUE(extent.ok());
  EXPECT_EQ(extent->status, Status::kData);
  EXPECT_EQ(extent->length, 16384 * size - 512);
  EXPECT_EQ(extent->host.value, 100 * size + 512);
}

TEST(Qcow2Image, AbsentTablesAreOneRunHoweverLarge) {
  // 32768 L1 entries: 16 TiB with clusters of 64 KiB.
  SampleImage sample(16, 3, std::uint64_t{1} << 28U);
  sample.bytes().resize(sample.at(32));
  sample.set32(field::kL1Size, 32768);
  sample.set64(field::kL1TableOffset, sample.at(20));
  sample.set64(sample.at(20) + 20000 * 8, sample.at(SampleImage::kL2Cluster));
  sample.set_l2(7, sample.at(5));
  auto file = std::make_unique<faults::MemoryFile>(sample.bytes());
  const faults::MemoryFile& reads = *file;
  const auto image = Qcow2Image::open(std::move(file));
  ASSERT_TRUE(image.ok()) << image.error().message;
  ASSERT_EQ((*image)->virtual_size(), std::uint64_t{1} << 44U);
  std::uint64_t calls = 0;
  for (std::uint64_t offset = 0; offset < (*image)->virtual_size(); ++calls) {
    const Result<Extent> extent = (*image)->status({offset}, (*image)->virtual_size() - offset);
    ASSERT_TRUE(extent.ok());
    offset += extent->length;
  }
  EXPECT_EQ(calls, 3U);
  EXPECT_LT(reads.reads(), 40U);
}

TEST(Qcow2Image, AnL1EntryThatIsUnalignedOrOutsideTheFileIsDamage) {
  for (const std::uint64_t entry :
       {std::uint64_t{0x4a00}, std::uint64_t{16 * 4096}, kOffsetMask & ~std::uint64_t{4095}}) {
    SampleImage sample;
    sample.set64(sample.at(SampleImage::kL1Cluster), entry | kCopied);
    EXPECT_NE(damage_at(*opened(sample), 0).find("L2 table at 0x"), std::string::npos);
  }
}

TEST(Qcow2Image, ACutL2TableEndsInZerosAndOnePastTheFileIsDamage) {
  SampleImage sample;
  const std::uint64_t table = sample.at(SampleImage::kClusters - 1);
  sample.set64(sample.at(SampleImage::kL1Cluster), table);
  sample.set64(table, sample.at(5) | kCopied);
  sample.bytes().resize(table + 8);
  const auto image = opened(sample);
  EXPECT_EQ(image->status({0}, 4096)->status, Status::kData);
  EXPECT_EQ(image->status({4096}, 4096)->status, Status::kUnallocated);
  sample.bytes().resize(table);
  EXPECT_NE(damage_at(*opened(sample), 0).find("does not begin in the file"), std::string::npos);
}

TEST(Qcow2Image, DamagedL2EntriesNameTheGuestOffset) {
  SampleImage sample;
  sample.set_l2(3, sample.at(5) + 512);
  sample.set_l2(4, (sample.at(5) + 512) | kZero);
  const auto image = opened(sample);
  EXPECT_EQ(image->status({0}, 64 * 4096)->length, 3 * 4096U);
  EXPECT_NE(damage_at(*image, 3 * 4096 + 512).find("guest offset 12800"), std::string::npos);
  EXPECT_NE(damage_at(*image, 4 * 4096).find("multiple of the cluster size"), std::string::npos);
}

TEST(Qcow2Image, AZeroClusterInVersion2IsDamage) {
  SampleImage sample(12, 2);
  sample.set_l2(0, kZero);
  EXPECT_NE(damage_at(*opened(sample), 0).find("version 2"), std::string::npos);
}

TEST(Qcow2Image, CompressedDataBehindTheFileIsDamage) {
  SampleImage sample;
  sample.set_l2(0, kCompressed | sample.at(SampleImage::kClusters));
  EXPECT_NE(damage_at(*opened(sample), 0).find("beyond the end of the file"), std::string::npos);
}

TEST(Qcow2Image, DataBehindTheFileReadsAsZeros) {
  SampleImage sample;
  sample.set_l2(0, sample.at(1000));
  const auto image = opened(sample);
  const Result<Extent> extent = image->status({0}, 4096);
  ASSERT_TRUE(extent.ok());
  EXPECT_EQ(extent->status, Status::kData);
  std::vector<std::byte> bytes(4096, std::byte{1});
  ASSERT_TRUE(image->file().read_at(extent->host.value, bytes).ok());
  EXPECT_TRUE(all_zero(bytes));
}

TEST(Qcow2Image, ATableThatTheFileGrewToHoldIsSound) {
  SampleImage sample(12, 3, 600);
  const auto image = opened(sample);
  const std::vector<std::byte> table(4096);
  ASSERT_TRUE(image->file().write_at(sample.at(SampleImage::kClusters), table).ok());
  std::vector<std::byte> entry(8);
  put_be_at<std::uint64_t>(entry, 0, sample.at(SampleImage::kClusters) | kCopied);
  ASSERT_TRUE(image->tables().store(sample.at(SampleImage::kL1Cluster) + 8, entry).ok());
  EXPECT_EQ(damage_at(*image, 512 * 4096), "none");
}

TEST(Qcow2Image, GarbageInsteadOfACompressedClusterNamesTheFile) {
  SampleImage sample;
  const auto image = opened(sample);
  std::vector<std::byte> into(4096);
  const Result<void> answer = image->inflate(std::vector<std::byte>(512, std::byte{0xff}), into);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().path, "sample.qcow2");
  EXPECT_NE(answer.error().message.find("'sample.qcow2'"), std::string::npos);
}

TEST(Qcow2Image, SubclustersAreReadThroughTheirBitmap) {
  SampleImage sample(14, 3, 64);
  sample.add_incompatible(incompatible::kExtendedL2);
  sample.set_extended_l2(0, sample.at(5), std::uint64_t{0x0c} << 32U | 0x03);
  sample.set_extended_l2(1, sample.at(6), std::uint64_t{1} << 32U | 1);
  const auto image = opened(sample);
  EXPECT_EQ(image->status({0}, 99999)->status, Status::kData);
  EXPECT_EQ(image->status({0}, 99999)->length, 1024U);
  EXPECT_EQ(image->status({1024}, 99999)->status, Status::kZero);
  EXPECT_EQ(image->status({2048}, 99999)->status, Status::kUnallocated);
  EXPECT_EQ(image->status({2048}, 99999)->length, 14336U);
  EXPECT_NE(damage_at(*image, 16384).find("bitmap"), std::string::npos);
}

TEST(Qcow2Image, EncryptedImagesAndExternalDataAreNotOpened) {
  SampleImage sample;
  sample.add_incompatible(incompatible::kExternalData);
  const auto image = sample.open();
  ASSERT_FALSE(image.ok());
  EXPECT_EQ(image.error().kind, ErrorKind::kFeatureUnsupported);
}

}  // namespace
}  // namespace blockpull::image::qcow2
