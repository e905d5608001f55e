// SPDX-License-Identifier: Apache-2.0
//
// Features that are refused: for reading, or only for writing. Every sentence names the feature and
// says "not supported".

#include "core/image/qcow2/support.h"

#include <gtest/gtest.h>

#include "core/image/qcow2/sample_image.h"

namespace blockpull::image::qcow2 {
namespace {

Header header_of(const SampleImage& image) {
  const Result<Header> header = image.parse();
  EXPECT_TRUE(header.ok());
  return header.ok() ? *header : Header{};
}

void expect_refused(const Result<void>& answer, const char* feature) {
  ASSERT_FALSE(answer.ok()) << feature;
  EXPECT_EQ(answer.error().kind, ErrorKind::kFeatureUnsupported);
  EXPECT_NE(answer.error().message.find(feature), std::string::npos) << answer.error().message;
  EXPECT_NE(answer.error().message.find("not supported"), std::string::npos)
      << answer.error().message;
  EXPECT_EQ(answer.error().path, "a.qcow2");
}

TEST(Support, APlainImageIsReadAndWritten) {
  const Header header = header_of(SampleImage(16));
  EXPECT_TRUE(check_readable(header, "a.qcow2").ok());
  EXPECT_TRUE(check_writable(header, "a.qcow2").ok());
}

TEST(Support, EncryptedImagesAndExternalDataAreNotEvenRead) {
  SampleImage encrypted(16);
  encrypted.set32(field::kCryptMethod, 1);
  expect_refused(check_readable(header_of(encrypted), "a.qcow2"), "encrypted");
  expect_refused(check_writable(header_of(encrypted), "a.qcow2"), "encrypted");
  SampleImage external(16);
  external.add_incompatible(incompatible::kExternalData);
  expect_refused(check_readable(header_of(external), "a.qcow2"), "external data file");
}

TEST(Support, ARepairIsAdvised) {
  for (const std::uint64_t bit : {incompatible::kDirty, incompatible::kCorrupt}) {
    SampleImage image(16);
    image.add_incompatible(bit);
    expect_refused(check_writable(header_of(image), "a.qcow2"),
                   "run 'blockpull check --repair all' on it");
  }
}

TEST(Support, WhatCanOnlyBeReadIsRefusedForWriting) {
  const struct {
    const char* feature;
    void (*change)(SampleImage&);
  } rows[] = {
      {"dirty bit", [](SampleImage& image) { image.add_incompatible(incompatible::kDirty); }},
      {"corrupt bit", [](SampleImage& image) { image.add_incompatible(incompatible::kCorrupt); }},
  };
  for (const auto& row : rows) {
    SampleImage image(16);
    row.change(image);
    const Header header = header_of(image);
    EXPECT_TRUE(check_readable(header, "a.qcow2").ok()) << row.feature;
    expect_refused(check_writable(header, "a.qcow2"), row.feature);
  }
}

TEST(Support, LazyRefcountsAndUnknownAutoclearBitsAreWritten) {
  constexpr std::uint64_t kLazyRefcounts = 1;
  SampleImage image(16);
  image.set64(field::kCompatibleFeatures, kLazyRefcounts);
  image.set64(field::kAutoclearFeatures, 0x100);
  EXPECT_TRUE(check_writable(header_of(image), "a.qcow2").ok());
}

}  // namespace
}  // namespace blockpull::image::qcow2
