// SPDX-License-Identifier: Apache-2.0
//
// Sound headers, and headers with one known fault each. Every field is put out of its bounds alone,
// in an otherwise sound image. The refusal must have the right kind and name the field.

#include "core/image/qcow2/header.h"

#include <functional>

#include <gtest/gtest.h>

#include "core/image/qcow2/sample_image.h"

namespace blockpull::image::qcow2 {
namespace {

constexpr std::uint64_t kNearTop = 0xffffffffffff0000;
constexpr std::uint64_t kNearHalf = 0x7fffffffffff0000;

struct Row {
  const char* what;
  std::function<void(SampleImage&)> change;
  ErrorKind kind;
  /// What the sentence must contain.
  const char* names;
};

void PrintTo(const Row& row, std::ostream* out) {
  *out << row.what;
}

Row field32(const char* what, std::size_t offset, std::uint32_t value, const char* names) {
  return {what, [=](SampleImage& image) { image.set32(offset, value); }, ErrorKind::kImageCorrupt,
          names};
}

Row field64(const char* what, std::size_t offset, std::uint64_t value, const char* names) {
  return {what, [=](SampleImage& image) { image.set64(offset, value); }, ErrorKind::kImageCorrupt,
          names};
}

class BadHeader : public testing::TestWithParam<Row> {};

TEST_P(BadHeader, IsRefusedByTheNameOfTheField) {
  SampleImage image(16);
  ASSERT_TRUE(image.parse().ok());
  GetParam().change(image);
  const Result<Header> header = image.parse();
  ASSERT_FALSE(header.ok());
  EXPECT_EQ(header.error().kind, GetParam().kind);
  EXPECT_NE(header.error().message.find(GetParam().names), std::string::npos)
      << header.error().message;
  EXPECT_NE(header.error().message.find("'sample.qcow2'"), std::string::npos)
      << header.error().message;
  EXPECT_EQ(header.error().path, "sample.qcow2");
}

INSTANTIATE_TEST_SUITE_P(
    Identity, BadHeader,
    testing::Values(
        Row{"magic", [](SampleImage& image) { image.set32(field::kMagic, 0x514649fa); },
            ErrorKind::kFormatUnknown, "not a qcow2 image"},
        Row{"version 1", [](SampleImage& image) { image.set32(field::kVersion, 1); },
            ErrorKind::kFeatureUnsupported, "version 1"},
        Row{"version 4", [](SampleImage& image) { image.set32(field::kVersion, 4); },
            ErrorKind::kFeatureUnsupported, "not supported"},
        field32("cluster_bits 8", field::kClusterBits, 8, "cluster_bits is 8"),
        field32("cluster_bits 22", field::kClusterBits, 22, "cluster_bits is 22"),
        field32("cluster_bits 64", field::kClusterBits, 64, "cluster_bits is 64"),
        field32("cluster_bits 2^32-1", field::kClusterBits, 0xffffffff, "cluster_bits"),
        field32("header_length 100", field::kHeaderLength, 100, "header_length is 100"),
        field32("header_length over a cluster", field::kHeaderLength, 65544, "header_length"),
        field32("header_length 2^31-1", field::kHeaderLength, 0x7fffffff, "header_length"),
        field32("header_length 2^32-1", field::kHeaderLength, 0xffffffff, "header_length")));

INSTANTIATE_TEST_SUITE_P(BackingName, BadHeader,
                         testing::Values(field64("offset 2^64-1", field::kBackingFileOffset,
                                                 ~std::uint64_t{0}, "backing file name"),
                                         field64("offset behind the cluster",
                                                 field::kBackingFileOffset, 65537, "first cluster"),
                                         Row{"1024 bytes",
                                             [](SampleImage& image) {
                                               image.put_backing(512, "base");
                                               image.set32(field::kBackingFileSize, 1024);
                                             },
                                             ErrorKind::kImageCorrupt, "1024"},
                                         Row{"2^32-1 bytes",
                                             [](SampleImage& image) {
                                               image.put_backing(512, "base");
                                               image.set32(field::kBackingFileSize, 0xffffffff);
                                             },
                                             ErrorKind::kImageCorrupt, "backing file name"},
                                         Row{"over the end of the cluster",
                                             [](SampleImage& image) {
                                               image.put_backing(65530, "base");
                                               image.set32(field::kBackingFileSize, 7);
                                             },
                                             ErrorKind::kImageCorrupt, "end of the first cluster"},
                                         Row{"inside the header",
                                             [](SampleImage& image) {
                                               image.set64(field::kBackingFileOffset, 16);
                                               image.set32(field::kBackingFileSize, 4);
                                             },
                                             ErrorKind::kImageCorrupt, "after the header"},
                                         Row{"a zero byte in it",
                                             [](SampleImage& image) {
                                               image.put_backing(512, std::string_view("a\0b", 3));
                                             },
                                             ErrorKind::kImageCorrupt, "zero byte"}));

INSTANTIATE_TEST_SUITE_P(
    Features, BadHeader,
    testing::Values(
        Row{"unknown bit 5", [](SampleImage& image) { image.add_incompatible(1U << 5U); },
            ErrorKind::kFeatureUnsupported, "incompatible bit 5"},
        Row{"unknown bit 63",
            [](SampleImage& image) { image.add_incompatible(std::uint64_t{1} << 63U); },
            ErrorKind::kFeatureUnsupported, "incompatible bit 63"},
        Row{"compression type without its bit",
            [](SampleImage& image) { image.set32(field::kCompressionType, 0x01000000); },
            ErrorKind::kImageCorrupt, "not set"},
        Row{"compression bit without a type",
            [](SampleImage& image) { image.add_incompatible(incompatible::kCompressionType); },
            ErrorKind::kImageCorrupt, "is set"},
        Row{"compression type 2",
            [](SampleImage& image) {
              image.add_incompatible(incompatible::kCompressionType);
              image.set32(field::kCompressionType, 0x02000000);
            },
            ErrorKind::kFeatureUnsupported, "compression type 2"},
        Row{"raw external data without a data file",
            [](SampleImage& image) {
              image.set64(field::kAutoclearFeatures, autoclear::kRawExternalData);
            },
            ErrorKind::kImageCorrupt, "external data file"},
        Row{"encryption method 3", [](SampleImage& image) { image.set32(field::kCryptMethod, 3); },
            ErrorKind::kFeatureUnsupported, "encryption method 3"},
        Row{"LUKS without its extension",
            [](SampleImage& image) { image.set32(field::kCryptMethod, 2); },
            ErrorKind::kImageCorrupt, "LUKS"}));

INSTANTIATE_TEST_SUITE_P(
    Tables, BadHeader,
    testing::Values(
        field32("refcount_order 7", field::kRefcountOrder, 7, "refcount_order is 7"),
        field32("no refcount table", field::kRefcountTableClusters, 0, "refcount table"),
        field32("129 clusters of it", field::kRefcountTableClusters, 129, "refcount table"),
        field32("2^32-1 clusters of it", field::kRefcountTableClusters, 0xffffffff,
                "refcount table"),
        field64("refcount table unaligned", field::kRefcountTableOffset, 65537, "refcount table"),
        field64("refcount table at 0", field::kRefcountTableOffset, 0, "refcount table"),
        field64("refcount table near 2^64", field::kRefcountTableOffset, kNearTop,
                "refcount table"),
        field64("refcount table behind the file", field::kRefcountTableOffset, 16 * 65536,
                "refcount table"),
        field32("65537 snapshots", field::kSnapshotCount, 65537, "65537"),
        field32("2^31-1 snapshots", field::kSnapshotCount, 0x7fffffff, "snapshot table"),
        field64("snapshot table unaligned, though empty", field::kSnapshotsOffset, 1,
                "snapshot table"),
        Row{"snapshot table behind the file",
            [](SampleImage& image) {
              image.set32(field::kSnapshotCount, 1);
              image.set64(field::kSnapshotsOffset, kNearTop);
            },
            ErrorKind::kImageCorrupt, "snapshot table"},
        field32("no L1 table", field::kL1Size, 0, "L1 table"),
        field32("L1 table of 4194305 entries", field::kL1Size, 4194305, "L1 table"),
        field32("L1 table of 2^31-1 entries", field::kL1Size, 0x7fffffff, "L1 table"),
        field32("L1 table of 2^32-1 entries", field::kL1Size, 0xffffffff, "L1 table"),
        field32("L1 table of 32 MiB in a small file", field::kL1Size, 4194304, "does not fit"),
        field64("L1 table unaligned", field::kL1TableOffset, 0x30001, "L1 table"),
        field64("L1 table at 0", field::kL1TableOffset, 0, "L1 table"),
        field64("L1 table near 2^63", field::kL1TableOffset, kNearHalf, "L1 table"),
        field64("L1 table near 2^64", field::kL1TableOffset, kNearTop, "L1 table"),
        field64("size 2^63", field::kVirtualSize, std::uint64_t{1} << 63U, "virtual size"),
        field64("size 2^63-1", field::kVirtualSize, (std::uint64_t{1} << 63U) - 1, "L1 table"),
        field64("size 2^64-512", field::kVirtualSize, ~std::uint64_t{511}, "virtual size"),
        field64("size for a larger L1 table", field::kVirtualSize, std::uint64_t{1} << 50U,
                "needs")));

TEST(Header, AFileThatEndsInTheHeaderIsRefusedAtEveryLength) {
  for (const std::uint32_t version : {2U, 3U}) {
    SampleImage image(16, version);
    for (std::size_t length = 0; length < 200; ++length) {
      const auto cut = std::span<const std::byte>(image.bytes()).first(length);
      const Result<Header> header = parse_header(cut, length, "cut.qcow2");
      ASSERT_FALSE(header.ok()) << length;
      EXPECT_EQ(header.error().kind,
                length < 4 ? ErrorKind::kFormatUnknown : ErrorKind::kImageCorrupt);
    }
  }
}

TEST(Header, AnyValueOfAnyHeaderByteIsHarmless) {
  for (std::size_t offset = 4; offset < 160; ++offset) {
    for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      SampleImage image(16);
      image.put_extension(kV3HeaderLength, extension::kBackingFormat, "raw");
      image.put_backing(136, "base.raw");
      image.fill(offset, 1, value);
      const Result<Header> header = image.parse();
      if (!header.ok()) {
        EXPECT_FALSE(header.error().message.empty());
      }
    }
  }
}

TEST(Header, AVersion2HeaderHasNoVersion3Fields) {
  SampleImage image(16, 2);
  image.set64(field::kIncompatibleFeatures, 0);
  const Result<Header> header = image.parse();
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->version, 2U);
  EXPECT_EQ(header->header_length, kV2HeaderLength);
  EXPECT_EQ(header->refcount_bits(), 16U);
  EXPECT_EQ(header->incompatible, 0U);
  EXPECT_TRUE(header->has_end_marker);
  EXPECT_EQ(header->extensions_end, kV2HeaderLength);
}

TEST(Header, AHeaderOf104BytesHasNoCompressionType) {
  SampleImage image(16);
  image.set32(field::kHeaderLength, kV3MinHeaderLength);
  const Result<Header> header = image.parse();
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->compression, CompressionType::kDeflate);
}

TEST(Header, TheSizeIsRoundedDownToWholeSectors) {
  SampleImage image(16);
  image.set64(field::kVirtualSize, 5 * 65536 + 700);
  const Result<Header> header = image.parse();
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->virtual_size(), 5 * 65536U + 512U);
  EXPECT_EQ(header->stored_size, 5 * 65536U + 700U);
}

TEST(Header, AnEmptyDiskNeedsNoL1Table) {
  SampleImage image(16);
  image.set64(field::kVirtualSize, 0);
  image.set32(field::kL1Size, 0);
  const Result<Header> header = image.parse();
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->virtual_size(), 0U);
}

TEST(Header, SubclustersBelow512BytesAreRefused) {
  SampleImage image(12);
  image.add_incompatible(incompatible::kExtendedL2);
  const Result<Header> header = image.parse();
  ASSERT_FALSE(header.ok());
  EXPECT_NE(header.error().message.find("128"), std::string::npos) << header.error().message;
}

TEST(Header, CompatibleBitsAreIgnoredAndUnknownAutoclearBitsKept) {
  SampleImage image(16);
  image.set64(field::kCompatibleFeatures, 0xf0);
  image.set64(field::kAutoclearFeatures, 0xf0);
  const Result<Header> header = image.parse();
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->autoclear, 0xf0U);
}

TEST(Header, EveryClusterSizeAndRefcountWidthIsAccepted) {
  for (std::uint32_t bits = 9; bits <= 21; ++bits) {
    for (std::uint32_t order = 0; order <= 6; ++order) {
      SampleImage image(bits, 3, 16);
      image.set32(field::kRefcountOrder, order);
      const Result<Header> header = image.parse();
      ASSERT_TRUE(header.ok()) << bits << " " << header.error().message;
      EXPECT_EQ(header->cluster_size(), std::uint64_t{1} << bits);
      EXPECT_EQ(header->refcount_bits(), std::uint64_t{1} << order);
    }
  }
}

}  // namespace
}  // namespace blockpull::image::qcow2
