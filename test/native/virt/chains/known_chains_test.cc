// SPDX-License-Identifier: Apache-2.0
//
// Whose chains keep a file from being released: those of shut-off domains, of guests, and of images
// in a folder. A chain that cannot be read is reported with its owner.

#include "virt/chains/known_chains.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "files/sample_chain.h"
#include "files/temp_folder.h"

namespace blockpull::virt {
namespace {

using Paths = std::vector<std::string>;

constexpr std::uint64_t kSize = 1 << 20;

/// top was on mid, and mid is on base; `other` is on base too.
class KnownChainsTest : public testing::Test {
 protected:
  KnownChainsTest() {
    image::CreateOptions options;
    options.path = base_;
    options.size = kSize;
    files::create_qcow2(options);
    files::create_overlay(mid_, kSize, base_, image::Format::kQcow2);
    files::create_overlay(other_, kSize, base_, image::Format::kQcow2);
    options.path = top_;
    files::create_qcow2(options);
    unneeded_ = {driver::own_file(top_), "", {driver::own_file(mid_), driver::own_file(base_)}};
  }

  static Domain domain_with(const std::string& source, const std::string& format = "qcow2") {
    Disk disk;
    disk.target = "vda";
    disk.source = source;
    disk.format = format;
    return {"vm1", "uuid", {disk}};
  }

  /// The files that are released if these chains are known.
  Paths released(const KnownChains& known) {
    Unneeded left = unneeded_;
    unreadable_ = withhold(known, left);
    Paths paths;
    for (const driver::ChainFile& file : left.files) {
      paths.push_back(file.path);
    }
    return paths;
  }

  KnownChains siblings(const std::string& folder) const {
    image::ChainOptions options;
    options.format = image::Format::kQcow2;
    KnownChains known;
    add_siblings(folder, options, unneeded_, known);
    return known;
  }

  const files::TempFolder folder_;
  const std::string top_ = folder_ / "top.qcow2";
  const std::string mid_ = folder_ / "mid.qcow2";
  const std::string base_ = folder_ / "base.qcow2";
  const std::string other_ = folder_ / "other.qcow2";
  Unneeded unneeded_;
  Paths unreadable_;
};

TEST_F(KnownChainsTest, FilesInNoKnownChainAreReleased) {
  EXPECT_EQ(released({}), (Paths{mid_, base_}));
  EXPECT_TRUE(unreadable_.empty());
}

TEST_F(KnownChainsTest, ADiskOfADomainKeepsItsWholeChain) {
  KnownChains known;
  add_domain(domain_with(other_), {}, {}, known);
  EXPECT_EQ(released(known), Paths{mid_});
}

TEST_F(KnownChainsTest, AFileIsTheSameByWhateverName) {
  const std::string link = folder_ / "link.qcow2";
  const std::string on_link = folder_ / "on-link.qcow2";
  std::filesystem::create_symlink(mid_, link);
  files::create_overlay(on_link, kSize, link, image::Format::kQcow2);
  KnownChains known;
  add_domain(domain_with(on_link), {}, {}, known);
  EXPECT_EQ(released(known), Paths{});
  EXPECT_TRUE(unreadable_.empty());
}

TEST_F(KnownChainsTest, ARawDiskIsOneFileWhateverItContains) {
  KnownChains known;
  add_domain(domain_with(other_, "raw"), {}, {}, known);
  EXPECT_EQ(released(known), (Paths{mid_, base_}));
  KnownChains of_base;
  add_domain(domain_with(base_, "raw"), {}, {}, of_base);
  EXPECT_EQ(released(of_base), Paths{mid_});
}

TEST_F(KnownChainsTest, ADiskWithoutAFormatMayBeMeantAsQcow2) {
  KnownChains known;
  add_domain(domain_with(other_, ""), {}, {}, known);
  EXPECT_EQ(released(known), Paths{mid_});
}

TEST_F(KnownChainsTest, ADiskThatCannotBeReadIsNamed) {
  KnownChains known;
  add_domain(domain_with(folder_ / "none.qcow2"), {}, {}, known);
  EXPECT_EQ(released(known), (Paths{mid_, base_}));
  ASSERT_EQ(unreadable_.size(), 1U);
  EXPECT_TRUE(unreadable_[0].starts_with("disk 'vda' of domain 'vm1': ")) << unreadable_[0];
}

TEST_F(KnownChainsTest, BackingPathsAreKeptTo) {
  KnownChains known;
  add_domain(domain_with(other_), Paths{folder_ / "elsewhere"}, {}, known);
  (void)released(known);
  EXPECT_EQ(unreadable_.size(), 1U);
}

TEST_F(KnownChainsTest, AnEmptyDriveAndADiskOfTheNetworkHaveNoFiles) {
  Domain domain = domain_with("");
  domain.disks.push_back(domain_with("pool/volume").disks[0]);
  domain.disks[1].type = "network";
  KnownChains known;
  add_domain(domain, {}, {}, known);
  EXPECT_TRUE(known.chains.empty());
  EXPECT_TRUE(known.unreadable.empty());
}

TEST_F(KnownChainsTest, TheImagesOwnOldChainKeepsNothing) {
  const std::string above = folder_ / "above.qcow2";
  KnownChains known;
  known.chains.push_back(
      {{{above, {}}, driver::own_file(top_), driver::own_file(mid_)}, "", false});
  EXPECT_EQ(released(known), (Paths{mid_, base_}));
}

TEST_F(KnownChainsTest, OnlyTrueSiblingsKeepTheirChains) {
  EXPECT_EQ(released(siblings(folder_.path())), Paths{mid_});
  std::filesystem::remove(other_);
  std::filesystem::create_hard_link(top_, folder_ / "again.qcow2");
  EXPECT_EQ(released(siblings(folder_.path())), (Paths{mid_, base_}));
  EXPECT_TRUE(unreadable_.empty());
}

TEST_F(KnownChainsTest, UnreadableSiblingsAreNamedAndOtherFilesIgnored) {
  std::filesystem::create_directory(folder_ / "sub");
  folder_.write("notes.txt", "text");
  files::create_overlay(folder_ / "sub/deep.qcow2", kSize, mid_, image::Format::kQcow2);
  EXPECT_EQ(released(siblings(folder_.path())), Paths{mid_});
  EXPECT_TRUE(unreadable_.empty());
  std::filesystem::rename(base_, folder_ / "moved.qcow2");
  (void)released(siblings(folder_.path()));
  ASSERT_EQ(unreadable_.size(), 1U);
  EXPECT_TRUE(unreadable_[0].starts_with("sibling '" + other_ + "': ")) << unreadable_[0];
}

TEST_F(KnownChainsTest, AFolderThatIsNotThereIsRefused) {
  EXPECT_TRUE(check_siblings({folder_.path()}).ok());
  const auto refused = check_siblings({folder_.path(), folder_ / "none"});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kNotFound);
}

TEST_F(KnownChainsTest, AFolderOfTooManyFilesIsRefusedByName) {
  const std::string folder = folder_ / "many";
  std::filesystem::create_directory(folder);
  for (int i = 0; i < 10001; ++i) {
    std::filesystem::create_symlink("nowhere", folder + "/" + std::to_string(i));
  }
  const auto refused = check_siblings({folder});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(refused.error().path, folder);
}

}  // namespace
}  // namespace blockpull::virt
