// SPDX-License-Identifier: Apache-2.0
//
// The area between header and backing name: where it ends, what is found in it, and what is
// refused.

#include "core/image/qcow2/extensions.h"

#include <gtest/gtest.h>

#include "core/image/qcow2/sample_image.h"

namespace blockpull::image::qcow2 {
namespace {

constexpr std::uint64_t kStart = kV3HeaderLength;

/// Big-endian fields as text, for the content of an extension.
std::string be(std::initializer_list<std::pair<int, std::uint64_t>> fields) {
  std::string out;
  for (const auto& [bytes, value] : fields) {
    for (int shift = bytes * 8; shift != 0; shift -= 8) {
      out += static_cast<char>(value >> (shift - 8));
    }
  }
  return out;
}

std::string refusal(const SampleImage& image) {
  const Result<Header> header = image.parse();
  return header.ok() ? "accepted" : header.error().message;
}

TEST(Extensions, ReadsTheBackingFormat) {
  SampleImage image;
  const std::uint64_t end = image.put_extension(kStart, extension::kBackingFormat, "qcow2");
  image.put_backing(end + 8, "base.qcow2");
  const Result<Header> header = image.parse();
  ASSERT_TRUE(header.ok());
  ASSERT_TRUE(header->backing.has_value());
  EXPECT_EQ(header->backing->name, "base.qcow2");
  EXPECT_EQ(header->backing->format, "qcow2");
  EXPECT_TRUE(header->has_end_marker);
  EXPECT_EQ(header->extensions_end, end);
}

TEST(Extensions, ABackingNameEndsTheAreaWithoutAnEndMarker) {
  SampleImage image;
  const std::uint64_t end = image.put_extension(kStart, extension::kBackingFormat, "raw");
  image.put_backing(end, "base.raw");
  const Result<Header> header = image.parse();
  ASSERT_TRUE(header.ok());
  EXPECT_FALSE(header->has_end_marker);
  EXPECT_EQ(header->extensions_end, end);
  EXPECT_EQ(header->backing->format, "raw");
}

TEST(Extensions, ANameStraightBehindTheHeaderLeavesNoArea) {
  SampleImage image(12, 2);
  image.put_backing(kV2HeaderLength, "base");
  const Result<Header> header = image.parse();
  ASSERT_TRUE(header.ok());
  EXPECT_FALSE(header->has_end_marker);
  EXPECT_EQ(header->extensions_end, kV2HeaderLength);
  EXPECT_EQ(header->backing->format, "");
}

TEST(Extensions, AFormatWithoutABackingFileMeansNothing) {
  SampleImage image;
  image.put_extension(kStart, extension::kBackingFormat, "raw");
  const Result<Header> header = image.parse();
  ASSERT_TRUE(header.ok());
  EXPECT_FALSE(header->backing.has_value());
}

TEST(Extensions, UnknownTypesAreFoundAndLeftAlone) {
  SampleImage image;
  std::uint64_t end = image.put_extension(kStart, 0x12345678, "hello");
  end = image.put_extension(end, 0x12345678, "");
  const Result<Header> header = image.parse();
  ASSERT_TRUE(header.ok());
  ASSERT_EQ(header->extensions.size(), 2U);
  EXPECT_EQ(header->extensions[0].offset, kStart);
  EXPECT_EQ(header->extensions[0].length, 5U);
  EXPECT_EQ(header->extensions_end, end);
}

TEST(Extensions, ALengthThatLeavesTheAreaIsRefused) {
  for (const std::uint32_t length : {0x7fffffffU, 0xffffffffU, 4096U - 112U - 8U + 1U}) {
    SampleImage image;
    image.put_extension(kStart, 0x12345678, "hello");
    image.set32(kStart + 4, length);
    EXPECT_NE(refusal(image).find("header extension at 112"), std::string::npos) << refusal(image);
  }
  SampleImage before_name;
  before_name.put_extension(kStart, 0x12345678, "hello");
  before_name.put_backing(kStart + 12, "base");
  EXPECT_NE(refusal(before_name).find("header extension at 112"), std::string::npos);
}

TEST(Extensions, AnExtensionThatFillsTheAreaToItsLastByteIsAccepted) {
  SampleImage image;
  image.put_extension(kStart, 0x12345678, std::string(4096 - 112 - 8, 'x'));
  const Result<Header> header = image.parse();
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->extensions_end, 4096U);
  EXPECT_FALSE(header->has_end_marker);
}

TEST(Extensions, ABackingFormatOf16BytesIsRefused) {
  SampleImage image;
  image.put_extension(kStart, extension::kBackingFormat, "0123456789abcdef");
  EXPECT_NE(refusal(image).find("the limit is 15"), std::string::npos) << refusal(image);
}

TEST(Extensions, AKnownTypeThatIsThereTwiceIsRefused) {
  SampleImage image;
  const std::uint64_t end = image.put_extension(kStart, extension::kBackingFormat, "raw");
  image.put_extension(end, extension::kBackingFormat, "qcow2");
  EXPECT_NE(refusal(image).find("more than once"), std::string::npos) << refusal(image);
}

TEST(Extensions, EveryBoundOfTheBitmapsExtensionIsChecked) {
  const struct {
    std::string content;
    const char* names;
  } rows[] = {
      {be({{4, 1}, {4, 0}, {8, 24}}), "must have 24"},
      {be({{4, 0}, {4, 0}, {8, 24}, {8, 4096}}), "0 bitmaps"},
      {be({{4, 65536}, {4, 0}, {8, 24}, {8, 4096}}), "65536 bitmaps"},
      {be({{4, 1}, {4, 1}, {8, 24}, {8, 4096}}), "reserved field"},
      {be({{4, 1}, {4, 0}, {8, 24}, {8, 4097}}), "begins at 4097"},
      {be({{4, 1}, {4, 0}, {8, 24}, {8, 0}}), "begins at 0"},
      {be({{4, 1}, {4, 0}, {8, 67107841}, {8, 4096}}), "67107841 bytes"},
      {be({{4, 1}, {4, 0}, {8, 0}, {8, 4096}}), "0 bytes"},
  };
  for (const auto& row : rows) {
    SampleImage image;
    image.set64(field::kAutoclearFeatures, autoclear::kBitmaps);
    image.put_extension(kStart, extension::kBitmaps, row.content);
    EXPECT_NE(refusal(image).find(row.names), std::string::npos) << refusal(image);
  }
}

TEST(Extensions, BitmapsWithoutTheirAutoclearBitAreIgnored) {
  SampleImage image;
  image.put_extension(kStart, extension::kBitmaps, be({{4, 0}, {4, 9}, {8, 0}, {8, 7}}));
  EXPECT_EQ(refusal(image), "accepted");
}

TEST(Extensions, EveryBoundOfTheEncryptionExtensionIsChecked) {
  SampleImage without_method;
  without_method.put_extension(kStart, extension::kEncryption, be({{8, 4096}, {8, 4096}}));
  EXPECT_NE(refusal(without_method).find("crypt_method 0"), std::string::npos);
  SampleImage short_one;
  short_one.set32(field::kCryptMethod, 2);
  short_one.put_extension(kStart, extension::kEncryption, be({{8, 4096}}));
  EXPECT_NE(refusal(short_one).find("must have 16"), std::string::npos);
  SampleImage unaligned;
  unaligned.set32(field::kCryptMethod, 2);
  unaligned.put_extension(kStart, extension::kEncryption, be({{8, 4097}, {8, 4096}}));
  EXPECT_NE(refusal(unaligned).find("begins at 4097"), std::string::npos);
  SampleImage long_one;
  long_one.set32(field::kCryptMethod, 2);
  long_one.put_extension(kStart, extension::kEncryption, be({{8, 65536}, {8, 1ULL << 40U}}));
  EXPECT_NE(refusal(long_one).find("the limit is 67108864"), std::string::npos);
}

TEST(Extensions, AnUnknownFeatureIsCalledByTheNameInTheImage) {
  SampleImage image(16);
  std::string record(48, '\0');
  record[0] = 0;
  record[1] = 5;
  record.replace(2, 11, "t\x1b[31mturbo!");
  std::string other(48, 'x');
  image.put_extension(kStart, extension::kFeatureNames, other + record);
  image.add_incompatible(1U << 5U);
  const Result<Header> header = image.parse();
  ASSERT_FALSE(header.ok());
  EXPECT_EQ(header.error().kind, ErrorKind::kFeatureUnsupported);
  EXPECT_EQ(header.error().message,
            "feature 't[31mturbo!' (incompatible bit 5) of 'sample.qcow2' is not supported");
}

TEST(Extensions, AnUnknownFeatureIsRefusedBeforeAnyExtension) {
  SampleImage image;
  image.put_extension(kStart, extension::kBackingFormat, "0123456789abcdef");
  image.add_incompatible(1U << 5U);
  const Result<Header> header = image.parse();
  ASSERT_FALSE(header.ok());
  EXPECT_EQ(header.error().kind, ErrorKind::kFeatureUnsupported);
}

}  // namespace
}  // namespace blockpull::image::qcow2
