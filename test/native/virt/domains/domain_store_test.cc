// SPDX-License-Identifier: Apache-2.0
//
// Domains of a folder and described domains: lookups, redefinition, the effects of a broken file,
// and the state that a monitor's socket shows. Each test has a folder of its own.

#include "virt/domains/domain_store.h"

#include <cstring>
#include <filesystem>
#include <string>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <gtest/gtest.h>

#include "core/base/unique_fd.h"
#include "files/temp_folder.h"

namespace blockpull::virt {
namespace {

class FolderStoreTest : public testing::Test {
 protected:
  void write(const std::string& file, const std::string& content) const {
    folder_.write(file, content);
  }

  [[nodiscard]] std::string read(const std::string& file) const {
    return files::content_of(folder_ / file);
  }

  const files::TempFolder folder_;
  const std::string root_ = folder_.path();
};

std::string xml_of_name(const std::string& name, const std::string& more = "") {
  return "<domain><name>" + name + "</name>" + more + "</domain>";
}

TEST_F(FolderStoreTest, FindsDomainsByNameAndByUuid) {
  write("vm0.xml", xml_of_name("vm0"));
  write("vm1.xml", xml_of_name("vm1", "<uuid>c7a5fdbdedaf9455926ad65c16db1809</uuid>"));
  write("notes.txt", "not a domain");
  auto store = open_folder(root_);
  ASSERT_TRUE(store.ok());
  EXPECT_EQ((*store)->list()->size(), 2U);
  EXPECT_EQ((*store)->find_name("vm0")->name, "vm0");
  EXPECT_EQ((*store)->find_uuid("c7a5fdbd-edaf-9455-926a-d65c16db1809")->name, "vm1");
}

TEST_F(FolderStoreTest, ReportsMissingDomainsAsLibvirtDoes) {
  auto store = open_folder(root_);
  ASSERT_TRUE(store.ok());
  for (const char* name : {"x", "../x", "", "a/b"}) {
    const auto domain = (*store)->find_name(name);
    ASSERT_FALSE(domain.ok());
    EXPECT_EQ(static_cast<int>(domain.error().code), 42);
    EXPECT_EQ(domain.error().error.message,
              std::string("Domain not found: no domain with matching name '") + name + "'");
  }
  EXPECT_EQ((*store)->find_uuid("u").error().error.message,
            "Domain not found: no domain with matching uuid 'u'");
}

TEST_F(FolderStoreTest, SeesAFileThatWasChanged) {
  write("vm0.xml", xml_of_name("vm0"));
  auto store = open_folder(root_);
  ASSERT_TRUE(store.ok());
  EXPECT_TRUE((*store)->find_name("vm0")->disks.empty());
  write("vm0.xml", xml_of_name("vm0", "<devices><disk><target dev='vda'/></disk></devices>"));
  EXPECT_EQ((*store)->find_name("vm0")->disks.size(), 1U);
  std::filesystem::remove(root_ + "/vm0.xml");
  EXPECT_FALSE((*store)->find_name("vm0").ok());
}

TEST_F(FolderStoreTest, ListsABrokenDomainWithItsError) {
  write("broken.xml", "<domain>");
  write("empty.xml", "");
  write("network.xml", "<network><name>network</name></network>");
  write("renamed.xml", xml_of_name("other"));
  write("targetless.xml", xml_of_name("targetless", "<devices><disk/></devices>"));
  std::filesystem::create_directory(root_ + "/folder.xml");
  ASSERT_EQ(::mkfifo((root_ + "/fifo.xml").c_str(), 0600), 0);
  std::filesystem::create_symlink("nowhere", root_ + "/link.xml");
  std::filesystem::create_symlink("loop.xml", root_ + "/loop.xml");
  write("vm0.xml", xml_of_name("vm0"));
  auto store = open_folder(root_);
  ASSERT_TRUE(store.ok());
  const auto listed = (*store)->list_all();
  ASSERT_TRUE(listed.ok());
  EXPECT_EQ(listed->size(), 10U);
  for (const ListedDomain& each : *listed) {
    const std::string& name = each.domain.name;
    EXPECT_EQ(each.error.has_value(), name != "vm0") << name;
    if (!each.error) {
      continue;
    }
    const std::string& message = each.error->error.message;
    EXPECT_NE(message.find(root_ + "/" + name + ".xml"), std::string::npos) << message;
    // A lookup with a name or UUID from the list gives the same error.
    for (const auto& found : {(*store)->find_name(name), (*store)->find_uuid(each.domain.uuid)}) {
      ASSERT_FALSE(found.ok()) << name;
      EXPECT_EQ(found.error().error.message, message);
    }
  }
}

TEST_F(FolderStoreTest, ReportsAFileBrokenSinceItWasRead) {
  const auto uuid = std::string("<uuid>c7a5fdbdedaf9455926ad65c16db1809</uuid>");
  write("vm0.xml", xml_of_name("vm0", uuid));
  auto store = open_folder(root_);
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE((*store)->find_name("vm0").ok());
  write("vm0.xml", "<domain>");
  const auto found = (*store)->find_uuid("c7a5fdbd-edaf-9455-926a-d65c16db1809");
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().error.kind, ErrorKind::kInvalidArgument) << found.error().error.message;
}

TEST_F(FolderStoreTest, TwoDomainsOfOneUuidAreBothInError) {
  const auto uuid = std::string("<uuid>c7a5fdbdedaf9455926ad65c16db1809</uuid>");
  const std::string words = "domain 'a' and domain 'b' have the same uuid";
  write("a.xml", xml_of_name("a", uuid));
  write("b.xml", xml_of_name("b", uuid));
  write("c.xml", xml_of_name("c"));
  auto store = open_folder(root_);
  ASSERT_TRUE(store.ok());
  const auto by_uuid = (*store)->find_uuid("c7a5fdbd-edaf-9455-926a-d65c16db1809");
  ASSERT_FALSE(by_uuid.ok());
  EXPECT_NE(by_uuid.error().error.message.find(words), std::string::npos);
  const auto listed = (*store)->list_all();
  ASSERT_TRUE(listed.ok());
  ASSERT_EQ(listed->size(), 3U);
  for (const ListedDomain& each : *listed) {
    EXPECT_EQ(each.error.has_value(), each.domain.name != "c") << each.domain.name;
    EXPECT_TRUE(!each.error || each.error->error.message.find(words) != std::string::npos);
  }
  EXPECT_FALSE((*store)->define(xml_of_name("d", uuid)).ok());
}

TEST_F(FolderStoreTest, ABrokenFileFailsListsButNotOtherLookups) {
  write("bad.xml", "<domain>");
  write("vm0.xml", xml_of_name("vm0", "<uuid>c7a5fdbdedaf9455926ad65c16db1809</uuid>"));
  auto store = open_folder(root_);
  ASSERT_TRUE(store.ok());
  EXPECT_TRUE((*store)->find_name("vm0").ok());
  EXPECT_TRUE((*store)->find_uuid("c7a5fdbd-edaf-9455-926a-d65c16db1809").ok());
  const auto listed = (*store)->list();
  ASSERT_FALSE(listed.ok());
  EXPECT_NE(listed.error().error.message.find(root_ + "/bad.xml"), std::string::npos);
}

TEST_F(FolderStoreTest, RefusesAFileOfAnotherDomainsName) {
  write("vm0.xml", xml_of_name("vm1"));
  auto store = open_folder(root_);
  ASSERT_TRUE(store.ok());
  EXPECT_NE(
      (*store)->find_name("vm0").error().error.message.find("differs from the name of its file"),
      std::string::npos);
}

TEST_F(FolderStoreTest, DefinesADomainAsAFile) {
  auto store = open_folder(root_);
  ASSERT_TRUE(store.ok());
  const std::string xml = xml_of_name("vm0", "<!-- kept -->");
  ASSERT_TRUE((*store)->define(xml).ok());
  EXPECT_EQ(read("vm0.xml"), xml);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(root_), {}), 1);
  ASSERT_TRUE((*store)->define(xml_of_name("vm0")).ok());
  EXPECT_EQ(read("vm0.xml"), xml_of_name("vm0"));
}

TEST_F(FolderStoreTest, RefusesADefinitionThatSeparatesNameAndUuid) {
  auto store = open_folder(root_);
  ASSERT_TRUE(store.ok());
  const auto uuid = std::string("<uuid>c7a5fdbdedaf9455926ad65c16db1809</uuid>");
  ASSERT_TRUE((*store)->define(xml_of_name("vm0", uuid)).ok());
  const auto other_uuid = (*store)->define(xml_of_name("vm0"));
  ASSERT_FALSE(other_uuid.ok());
  EXPECT_EQ(other_uuid.error().error.message,
            "operation failed: domain 'vm0' already exists with uuid "
            "c7a5fdbd-edaf-9455-926a-d65c16db1809");
  const auto other_name = (*store)->define(xml_of_name("vm1", uuid));
  ASSERT_FALSE(other_name.ok());
  EXPECT_EQ(other_name.error().error.message,
            "operation failed: domain 'vm0' is already defined with uuid "
            "c7a5fdbd-edaf-9455-926a-d65c16db1809");
}

TEST_F(FolderStoreTest, RewritesAFileInItsPlaceWithItsModeAndThroughALink) {
  const std::string disk =
      "<devices><disk><source file='/v/a'/><target dev='vda'/><backingStore><source file='/v/b'/>"
      "</backingStore></disk></devices>";
  std::filesystem::create_directory(root_ + "/real");
  write("real/file.xml", xml_of_name("vm0", disk));
  ASSERT_EQ(::chmod((root_ + "/real/file.xml").c_str(), 0640), 0);
  std::filesystem::create_symlink("real/file.xml", root_ + "/vm0.xml");
  auto store = open_folder(root_);
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE((*store)->backing_changed("vm0", {"vda", "/v/a", std::nullopt}).ok());
  EXPECT_TRUE(std::filesystem::is_symlink(root_ + "/vm0.xml"));
  EXPECT_NE(read("vm0.xml").find("<target dev='vda'/><backingStore/></disk>"), std::string::npos);
  struct stat about {};
  ASSERT_EQ(::stat((root_ + "/vm0.xml").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777U, 0640U);
}

TEST_F(FolderStoreTest, AMissingFolderIsAnError) {
  const auto store = open_folder(root_ + "/none");
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().error.kind, ErrorKind::kNotFound);
}

TEST(DescribedStore, DistinguishesDomainsByNameAndUuid) {
  const auto described = [](std::vector<DomainDescription> domains) {
    return describe_domains(domains);
  };
  EXPECT_TRUE(described({{"a", {}, {}, {}}, {"b", {}, {}, {}}}).ok());
  EXPECT_FALSE(described({{"a", {}, {}, {}}, {"a", {}, {}, {}}}).ok());
  EXPECT_FALSE(described({{"a/b", {}, {}, {}}}).ok());
  EXPECT_FALSE(described({{"a", "no uuid", {}, {}}}).ok());
}

TEST(DescribedStore, HasXmlForWhatWasDescribed) {
  Disk disk;
  disk.target = "vda";
  disk.source = "/v/a";
  disk.format = "qcow2";
  auto store = describe_domains({{"a", {}, "/run/a.qmp", {disk}}});
  ASSERT_TRUE(store.ok());
  const auto domain = (*store)->find_name("a");
  ASSERT_TRUE(domain.ok());
  const auto parsed = parse_domain_xml(*(*store)->xml_of(*domain), "the given XML");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->disks.at(0).source, "/v/a");
  EXPECT_EQ((*store)->monitor_path("a"), "/run/a.qmp");
}

}  // namespace
}  // namespace blockpull::virt
