// SPDX-License-Identifier: Apache-2.0
//
// What names in headers mean, how a header should state a path, and which folders are allowed.

#include "core/image/backing_name.h"

#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "files/temp_folder.h"

namespace blockpull::image {
namespace {

TEST(ResolveBacking, RelativeNamesAreLookedForBesideTheOverlay) {
  EXPECT_EQ(*resolve_backing("/srv/vms/top.qcow2", "base.raw"), "/srv/vms/base.raw");
  EXPECT_EQ(*resolve_backing("vms/top.qcow2", "../base.raw"), "vms/../base.raw");
  EXPECT_EQ(*resolve_backing("top.qcow2", "base.raw"), "base.raw");
  EXPECT_EQ(*resolve_backing("/top.qcow2", "base.raw"), "/base.raw");
}

TEST(ResolveBacking, AbsoluteNamesAreTakenAsTheyAre) {
  EXPECT_EQ(*resolve_backing("/srv/top.qcow2", "/a:b/base.raw"), "/a:b/base.raw");
}

TEST(ResolveBacking, ProtocolsAreRefused) {
  for (const char* const name : {"nbd://host/x", "json:{\"driver\":\"raw\"}", "file:base.raw",
                                 "a:b", "fat:/srv", "http:x"}) {
    const auto path = resolve_backing("/srv/top.qcow2", name);
    ASSERT_FALSE(path.ok()) << name;
    EXPECT_EQ(path.error().kind, ErrorKind::kPolicy);
    EXPECT_NE(path.error().message.find("not supported"), std::string::npos);
  }
  EXPECT_EQ(*resolve_backing("/srv/top.qcow2", "./a:b"), "/srv/./a:b");
  EXPECT_EQ(*resolve_backing("/srv/top.qcow2", "sub/a:b"), "/srv/sub/a:b");
}

class BackingName : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* const name : {"vms", "vms/deep", "templates"}) {
      ASSERT_EQ(::mkdir((folder_ / name).c_str(), 0700), 0);
    }
    for (const char* const name : {"vms/top", "vms/deep/top"}) {
      folder_.write(name, "the image");
    }
  }

  [[nodiscard]] std::string name_for(const std::string& overlay, const std::string& target,
                                     const std::vector<std::string>& stated) const {
    folder_.write(target, "the base");
    const auto name = backing_name_for({folder_ / overlay}, folder_ / target, stated);
    EXPECT_TRUE(name.ok());
    return name.ok() ? *name : "";
  }

  const files::TempFolder folder_;
};

TEST_F(BackingName, StaysRelativeWhereItWas) {
  EXPECT_EQ(name_for("vms/top", "vms/base", {"old"}), "base");
  EXPECT_EQ(name_for("vms/top", "vms/deep/base", {"old"}), "deep/base");
  EXPECT_EQ(name_for("vms/top", "templates/base", {"old"}), "../templates/base");
  EXPECT_EQ(name_for("vms/deep/top", "base", {"./old"}), "../../base");
}

TEST_F(BackingName, StaysAbsoluteWhereItWas) {
  EXPECT_EQ(name_for("vms/top", "vms/../templates/base", {"/old"}), folder_ / "templates/base");
  // A header above the base states it by a relative name: the layer that it is relative to may drop
  // out.
  EXPECT_EQ(name_for("vms/top", "vms/base", {folder_ / "vms/deep/middle", "../base"}),
            folder_ / "vms/base");
  // An absolute name is kept as stated: it may be a link that always points to the newest template.
  ASSERT_EQ(::symlink("templates", (folder_ / "current").c_str()), 0);
  EXPECT_EQ(name_for("vms/top", "templates/base", {"middle", folder_ / "current/base"}),
            folder_ / "current/base");
}

TEST_F(BackingName, ANameThatLooksLikeAProtocolStartsWithADot) {
  EXPECT_EQ(name_for("vms/top", "vms/a:b", {"old"}), "./a:b");
  EXPECT_EQ(name_for("vms/top", "vms/deep/a:b", {"old"}), "deep/a:b");
}

TEST_F(BackingName, ARelativeNameLeadsBackToTheTargetThroughLinkedFolders) {
  ASSERT_EQ(::symlink((folder_ / "vms/deep").c_str(), (folder_ / "templates/link").c_str()), 0);
  EXPECT_EQ(name_for("templates/link/top", "base", {"old"}), "../../base");
  EXPECT_EQ(files::content_of(folder_ / "templates/link/../../base"), "the base");
}

TEST_F(BackingName, ALinkedImageGetsANameValidFromLinkAndTarget) {
  ASSERT_EQ(::symlink("deep/top", (folder_ / "vms/disk").c_str()), 0);
  // "../base" would be right only from the image's folder.
  EXPECT_EQ(name_for("vms/disk", "vms/base", {"middle"}), folder_ / "vms/base");
  // As in OpenNebula: a link to the folder itself, and one name that is right from both.
  ASSERT_EQ(::symlink(".", (folder_ / "vms/deep/deep").c_str()), 0);
  EXPECT_EQ(name_for("vms/disk", "vms/deep/base", {"middle", "deep/base"}), "deep/base");
  // The other names of the image count too.
  const auto name = backing_name_for({folder_ / "vms/deep/top", folder_ / "vms/disk"},
                                     folder_ / "vms/base", {"middle"});
  EXPECT_EQ(*name, folder_ / "vms/base");
}

TEST_F(BackingName, ALinkInTheSameFolderKeepsARelativeName) {
  ASSERT_EQ(::symlink("top", (folder_ / "vms/disk").c_str()), 0);
  EXPECT_EQ(name_for("vms/disk", "templates/base", {"middle", "old"}), "../templates/base");
}

TEST_F(BackingName, AFolderThatIsMissingIsAnError) {
  folder_.write("base", "the base");
  EXPECT_FALSE(backing_name_for({folder_ / "none/top"}, folder_ / "base", {"old"}).ok());
  EXPECT_FALSE(backing_name_for({folder_ / "vms/top"}, folder_ / "none", {"old"}).ok());
}

TEST_F(BackingName, OnlyFilesInAllowedFoldersPass) {
  folder_.write("templates/base", "x");
  folder_.write("secret", "x");
  const std::vector<std::string> allowed = {folder_ / "vms", folder_ / "templates"};
  EXPECT_TRUE(check_folder_policy(folder_ / "templates/base", allowed).ok());
  EXPECT_TRUE(check_folder_policy(folder_ / "vms/../templates/base", allowed).ok());
  for (const std::string& path : {folder_ / "secret", folder_ / "templates/../secret"}) {
    const auto answer = check_folder_policy(path, allowed);
    ASSERT_FALSE(answer.ok()) << path;
    EXPECT_EQ(answer.error().kind, ErrorKind::kPolicy);
  }
}

TEST_F(BackingName, ALinkOutOfAnAllowedFolderDoesNotPass) {
  folder_.write("secret", "x");
  ASSERT_EQ(::symlink((folder_ / "secret").c_str(), (folder_ / "templates/base").c_str()), 0);
  EXPECT_FALSE(check_folder_policy(folder_ / "templates/base", {folder_ / "templates"}).ok());
}

TEST_F(BackingName, AFolderWithAnAllowedPrefixInItsNameDoesNotPass) {
  ASSERT_EQ(::mkdir((folder_ / "templates-other").c_str(), 0700), 0);
  folder_.write("templates-other/base", "x");
  EXPECT_FALSE(check_folder_policy(folder_ / "templates-other/base", {folder_ / "templates"}).ok());
  EXPECT_FALSE(check_folder_policy(folder_ / "templates-other/base", {}).ok());
  EXPECT_TRUE(check_folder_policy(folder_ / "templates-other/base", {"/"}).ok());
}

}  // namespace
}  // namespace blockpull::image
