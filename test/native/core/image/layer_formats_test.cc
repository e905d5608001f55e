// SPDX-License-Identifier: Apache-2.0
//
// Whose word counts for the format of a layer that no header speaks of.

#include "core/image/layer_formats.h"

#include <unistd.h>

#include <gtest/gtest.h>

#include "files/temp_folder.h"

namespace blockpull::image {
namespace {

class LayerFormatsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_.write("plain", "the bytes of some disk");
    folder_.write("image", "QFI\xfb and tables");
    ASSERT_EQ(::symlink("image", (folder_ / "link").c_str()), 0);
  }

  [[nodiscard]] Result<Format> asked(LayerFormats& formats, const char* name) const {
    auto file = io::PosixFile::open(folder_ / name, io::Access::kReadOnly);
    EXPECT_TRUE(file.ok());
    return formats.format_of(**file);
  }

  [[nodiscard]] Result<Format> asked(StatedFormats stated, const char* name) const {
    LayerFormats formats(std::move(stated));
    return asked(formats, name);
  }

  [[nodiscard]] FileFormat said(const char* name, const char* format) const {
    return {folder_ / name, format};
  }

  void expect_refusal(StatedFormats stated, const char* name, ErrorKind kind,
                      const char* words) const {
    const auto format = asked(std::move(stated), name);
    ASSERT_FALSE(format.ok()) << words;
    EXPECT_EQ(format.error().kind, kind) << format.error().message;
    EXPECT_NE(format.error().message.find(words), std::string::npos) << format.error().message;
  }

  const files::TempFolder folder_;
};

TEST_F(LayerFormatsTest, AFileIsToldByInodeAndNotByName) {
  for (const char* const name : {"image", "link"}) {
    EXPECT_EQ(*asked({.by_caller = {said(name, "qcow2")}}, "image"), Format::kQcow2) << name;
    EXPECT_EQ(*asked({.by_domain = {said(name, "qcow2")}}, "image"), Format::kQcow2) << name;
  }
}

TEST_F(LayerFormatsTest, WhatIsSaidOfAnotherFileSaysNothing) {
  const StatedFormats stated{.by_caller = {said("plain", "qcow2"), said("none", "qcow2")},
                             .by_domain = {said("plain", "raw")}};
  expect_refusal(stated, "image", ErrorKind::kFormatUnknown, "states no format for it");
}

TEST_F(LayerFormatsTest, ABareWordIsForOneLayer) {
  LayerFormats formats(
      StatedFormats{.by_domain = {said("image", "qcow2")}, .for_one_layer = Format::kRaw});
  // The file that the domain speaks of uses it not up.
  EXPECT_EQ(*asked(formats, "image"), Format::kQcow2);
  EXPECT_EQ(*asked(formats, "plain"), Format::kRaw);
  folder_.write("second", "another disk");
  const auto second = asked(formats, "second");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().kind, ErrorKind::kFormatUnknown);
  EXPECT_NE(second.error().message.find(folder_ / "plain"), std::string::npos)
      << second.error().message;
}

TEST_F(LayerFormatsTest, RawForWhatBeginsAsAnImageNeedsThatFilesOwnWord) {
  const char* const words = "begins as an image of format 'qcow2'";
  expect_refusal({.for_one_layer = Format::kRaw}, "image", ErrorKind::kFormatUnknown, words);
  expect_refusal({.by_domain = {said("image", "raw")}}, "image", ErrorKind::kFormatUnknown, words);
  EXPECT_EQ(*asked({.by_caller = {said("image", "raw")}}, "image"), Format::kRaw);
  EXPECT_EQ(
      *asked({.by_caller = {said("link", "raw")}, .by_domain = {said("image", "raw")}}, "image"),
      Format::kRaw);
  EXPECT_EQ(*asked({.by_domain = {said("plain", "raw")}}, "plain"), Format::kRaw);
  EXPECT_EQ(*asked({.for_one_layer = Format::kRaw}, "plain"), Format::kRaw);
}

TEST_F(LayerFormatsTest, TwoWhoDisagreeAreRefused) {
  const char* const words = "is stated twice";
  expect_refusal({.by_caller = {said("image", "raw")}, .by_domain = {said("link", "qcow2")}},
                 "image", ErrorKind::kInvalidArgument, words);
  expect_refusal({.by_caller = {said("image", "raw"), said("link", "qcow2")}}, "image",
                 ErrorKind::kInvalidArgument, words);
  expect_refusal({.by_domain = {said("image", "raw"), said("link", "qcow2")}}, "image",
                 ErrorKind::kInvalidArgument, words);
}

TEST_F(LayerFormatsTest, AFormatThatIsNotServedIsRefusedWhereItIsNeeded) {
  expect_refusal({.by_domain = {said("image", "vmdk")}}, "image", ErrorKind::kFeatureUnsupported,
                 "'vmdk'");
  EXPECT_EQ(
      *asked({.by_caller = {said("plain", "raw")}, .by_domain = {said("image", "vmdk")}}, "plain"),
      Format::kRaw);
}

}  // namespace
}  // namespace blockpull::image
