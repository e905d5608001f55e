// SPDX-License-Identifier: Apache-2.0
//
// Which layer a name means: by its file, by its name, and if it fits two.

#include "driver/find_base.h"

#include <gtest/gtest.h>

#include "core/base/text.h"
#include "files/temp_folder.h"

namespace blockpull::driver {
namespace {

class FindBase : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* const name : {"top", "middle", "base"}) {
      layers_.push_back({folder_.write(name, name), {}, {}, *io::identify(folder_ / name)});
    }
    layers_[1].stated = "middle";
    layers_[2].stated = "base";
  }

  [[nodiscard]] Result<std::size_t> found(const std::string& name, bool is_exact = true) const {
    return find_base(layers_, {name, std::nullopt, is_exact});
  }

  const files::TempFolder folder_;
  std::vector<NamedLayer> layers_;
};

TEST_F(FindBase, IsFoundByItsFileItsPathAndTheNameThatAHeaderStates) {
  for (const std::string& name :
       {folder_ / "base", folder_ / "./base", std::string("base"), std::string("./base")}) {
    EXPECT_EQ(*found(name), 2U) << name;
    EXPECT_EQ(*found(name, false), 2U) << name;
  }
  EXPECT_EQ(*found("middle"), 1U);
}

TEST_F(FindBase, IsFoundByNameWhereItsFileCannotBeSeen) {
  for (NamedLayer& layer : layers_) {
    layer.file.reset();
    layer.path = "/none" + layer.path;
  }
  layers_[2].node = "#block5";
  EXPECT_EQ(*found("#block5"), 2U);
  EXPECT_EQ(*found("base"), 2U);
  EXPECT_EQ(*found("/none" + (folder_ / "base")), 2U);
  EXPECT_FALSE(found(folder_ / "base").ok());
}

TEST_F(FindBase, TheActiveImageAndOtherFilesAreNotFound) {
  for (const std::string& name :
       {folder_ / "top", std::string("top"), std::string("other"), std::string()}) {
    const auto layer = found(name);
    ASSERT_FALSE(layer.ok()) << name;
    EXPECT_EQ(layer.error().kind, ErrorKind::kNoBase);
  }
}

TEST_F(FindBase, AnAmbiguousNameIsRefusedExceptForLibvirtsCalls) {
  // The name leads to the deeper file, and the header above the upper layer states it for another
  // file.
  layers_[1].stated = folder_ / "base";
  const auto layer = found(folder_ / "base");
  ASSERT_FALSE(layer.ok());
  EXPECT_EQ(layer.error().kind, ErrorKind::kInvalidArgument);
  const std::string& message = layer.error().message;
  EXPECT_NE(message.find(text("layer 1 '", folder_ / "middle", "' by its name")), std::string::npos)
      << message;
  EXPECT_NE(message.find(text("layer 2 '", folder_ / "base", "' by its file")), std::string::npos)
      << message;
  EXPECT_EQ(*found(folder_ / "base", false), 1U);
}

TEST_F(FindBase, AnIndexIsAPlaceInTheChain) {
  EXPECT_EQ(*find_base(layers_, {"", 2}), 2U);
  for (const std::size_t index : {std::size_t{0}, std::size_t{3}}) {
    const auto layer = find_base(layers_, {"", index});
    ASSERT_FALSE(layer.ok()) << index;
    EXPECT_EQ(layer.error().kind, ErrorKind::kNoBase);
  }
}

}  // namespace
}  // namespace blockpull::driver
