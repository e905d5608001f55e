// SPDX-License-Identifier: Apache-2.0
//
// Who may state the format of a layer that no header states.

#include "core/image/layer_formats.h"

#include <unistd.h>

#include <gtest/gtest.h>

#include "files/temp_folder.h"

namespace blockpull::image {
namespace {

StatedFormats stated(std::vector<FileFormat> by_caller, std::vector<FileFormat> by_domain = {},
                     std::optional<Format> for_one_layer = {}) {
  return {std::move(by_caller), std::move(by_domain), for_one_layer};
}

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

  [[nodiscard]] Result<Format> asked(StatedFormats said_here, const char* name) const {
    LayerFormats formats(std::move(said_here));
    return asked(formats, name);
  }

  [[nodiscard]] FileFormat said(const char* name, const char* format) const {
    return {folder_ / name, format};
  }

  void expect_refusal(StatedFormats said_here, const char* name, ErrorKind kind,
                      const char* words) const {
    const auto format = asked(std::move(said_here), name);
    ASSERT_FALSE(format.ok()) << words;
    EXPECT_EQ(format.error().kind, kind) << format.error().message;
    EXPECT_NE(format.error().message.find(words), std::string::npos) << format.error().message;
  }

  const files::TempFolder folder_;
};

TEST_F(LayerFormatsTest, FilesAreMatchedByInodeNotByName) {
  for (const char* const name : {"image", "link"}) {
    EXPECT_EQ(*asked(stated({said(name, "qcow2")}), "image"), Format::kQcow2) << name;
    EXPECT_EQ(*asked(stated({}, {said(name, "qcow2")}), "image"), Format::kQcow2) << name;
  }
}

TEST_F(LayerFormatsTest, AStatementAboutAnotherFileIsIgnored) {
  const StatedFormats here =
      stated({said("plain", "qcow2"), said("none", "qcow2")}, {said("plain", "raw")});
  expect_refusal(here, "image", ErrorKind::kFormatUnknown, "states no format for it");
}

TEST_F(LayerFormatsTest, AFormatWithoutAFileIsForOneLayer) {
  LayerFormats formats(stated({}, {said("image", "qcow2")}, Format::kRaw));
  // The file that the domain states does not use it up.
  EXPECT_EQ(*asked(formats, "image"), Format::kQcow2);
  EXPECT_EQ(*asked(formats, "plain"), Format::kRaw);
  folder_.write("second", "another disk");
  const auto second = asked(formats, "second");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().kind, ErrorKind::kFormatUnknown);
  EXPECT_NE(second.error().message.find(folder_ / "plain"), std::string::npos)
      << second.error().message;
}

TEST_F(LayerFormatsTest, AnImageIsTakenForRawOnlyIfStatedForThatFile) {
  const char* const words = "starts like an image of format 'qcow2'";
  expect_refusal(stated({}, {}, Format::kRaw), "image", ErrorKind::kFormatUnknown, words);
  expect_refusal(stated({}, {said("image", "raw")}), "image", ErrorKind::kFormatUnknown, words);
  EXPECT_EQ(*asked(stated({said("image", "raw")}), "image"), Format::kRaw);
  EXPECT_EQ(*asked(stated({said("link", "raw")}, {said("image", "raw")}), "image"), Format::kRaw);
  EXPECT_EQ(*asked(stated({}, {said("plain", "raw")}), "plain"), Format::kRaw);
  EXPECT_EQ(*asked(stated({}, {}, Format::kRaw), "plain"), Format::kRaw);
}

TEST_F(LayerFormatsTest, ContradictingStatementsAreRefused) {
  const char* const words = "is stated twice";
  expect_refusal(stated({said("image", "raw")}, {said("link", "qcow2")}), "image",
                 ErrorKind::kInvalidArgument, words);
  expect_refusal(stated({said("image", "raw"), said("link", "qcow2")}), "image",
                 ErrorKind::kInvalidArgument, words);
  expect_refusal(stated({}, {said("image", "raw"), said("link", "qcow2")}), "image",
                 ErrorKind::kInvalidArgument, words);
}

TEST_F(LayerFormatsTest, AnUnsupportedFormatIsRefusedWhenItIsNeeded) {
  expect_refusal(stated({}, {said("image", "vmdk")}), "image", ErrorKind::kFeatureUnsupported,
                 "'vmdk'");
  EXPECT_EQ(*asked(stated({said("plain", "raw")}, {said("image", "vmdk")}), "plain"), Format::kRaw);
}

}  // namespace
}  // namespace blockpull::image
