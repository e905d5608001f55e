// SPDX-License-Identifier: Apache-2.0
//
// The chains that one process has open: of two over one base only the later one releases it.

#include "virt/chains/open_chains.h"

#include <gtest/gtest.h>

#include "files/temp_folder.h"

namespace blockpull::virt {
namespace {

using driver::ChainFile;

const ChainFile kBase{"/vms/base", io::FileId{1, 10}};
const ChainFile kMid{"/vms/mid", io::FileId{1, 11}};

std::vector<std::string> left_by(OpenChains::Entry& entry, std::vector<ChainFile> files) {
  entry.leave(files);
  std::vector<std::string> paths;
  for (const ChainFile& file : files) {
    paths.push_back(file.path);
  }
  return paths;
}

TEST(OpenChainsTest, TheLaterOfTwoChainsReleasesTheirBase) {
  const auto chains = std::make_shared<OpenChains>();
  const auto first = chains->add({{"/vms/a", io::FileId{1, 1}}, kMid, kBase});
  const auto second = chains->add({{"/vms/b", io::FileId{1, 2}}, kBase});
  EXPECT_EQ(left_by(*first, {kMid, kBase}), std::vector<std::string>{"/vms/mid"});
  EXPECT_EQ(left_by(*second, {kBase}), std::vector<std::string>{"/vms/base"});
}

TEST(OpenChainsTest, ADroppedChainKeepsNothing) {
  const auto chains = std::make_shared<OpenChains>();
  auto dropped = chains->add({kBase});
  const auto entry = chains->add({{"/vms/b", io::FileId{1, 2}}, kBase});
  dropped.reset();
  EXPECT_EQ(left_by(*entry, {kBase}), std::vector<std::string>{"/vms/base"});
}

TEST(OpenChainsTest, FilesAreComparedByInodeOnceLookedUp) {
  const files::TempFolder folder;
  const std::string base = folder.write("base", "");
  const std::string link = folder / "link";
  std::filesystem::create_symlink(base, link);
  const auto chains = std::make_shared<OpenChains>();
  const auto of_guest = chains->add({{"/vms/a", {}}, {link, {}}});
  const auto entry = chains->add({driver::own_file(base)});
  chains->look();
  EXPECT_EQ(left_by(*entry, {driver::own_file(base)}), std::vector<std::string>{});
}

TEST(OpenChainsTest, AnUnresolvableNameIsComparedAsText) {
  EXPECT_TRUE(driver::may_be_same_file({"/vms/sub/../base", {}}, kBase));
  EXPECT_TRUE(driver::may_be_same_file({"sub/base", {}}, kBase));
  EXPECT_FALSE(driver::may_be_same_file({"/other/base", {}}, kBase));
  EXPECT_FALSE(driver::may_be_same_file({"mid", {}}, kBase));
  EXPECT_FALSE(driver::may_be_same_file({"/vms/base", io::FileId{1, 12}}, kBase));
}

TEST(OpenChainsTest, InDoubtMayBeSameIsTrueAndIsSameIsFalse) {
  const ChainFile unseen{"base", {}};
  EXPECT_TRUE(driver::may_be_same_file(unseen, kBase));
  EXPECT_FALSE(driver::is_same_file(unseen, kBase));
  EXPECT_TRUE(driver::is_same_file(unseen, unseen));
  EXPECT_TRUE(driver::is_same_file({"/link", io::FileId{1, 10}}, kBase));
}

}  // namespace
}  // namespace blockpull::virt
