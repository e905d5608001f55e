// SPDX-License-Identifier: Apache-2.0
//
// Parsing and formatting domain XML.

#include "virt/domains/domain_xml.h"

#include <string>

#include <gtest/gtest.h>

namespace blockpull::virt {
namespace {

constexpr const char* kXml = R"(<?xml version='1.0'?>
<domain type='kvm'>
  <name>vm0</name>
  <uuid>C7A5FDBD-edaf-9455-926a-d65c16db1809</uuid>
  <metadata><a:x xmlns:a='urn:a'>kept</a:x></metadata>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='/srv/a &amp; b.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='network' device='disk'>
      <source protocol='nbd' name='export'/>
      <target dev='vdb' bus='virtio'/>
    </disk>
    <disk device='cdrom'>
      <target dev='hda' bus='ide'/>
      <transient/>
    </disk>
  </devices>
</domain>
)";

std::string why(const char* xml) {
  const auto domain = parse_domain_xml(xml, "'/srv/vm0.xml'");
  EXPECT_FALSE(domain.ok());
  EXPECT_EQ(static_cast<int>(domain.error().code), 27);
  return domain.error().error.message;
}

TEST(DomainXml, ReadsNameUuidAndDisks) {
  const auto domain = parse_domain_xml(kXml, "the given XML");
  ASSERT_TRUE(domain.ok());
  EXPECT_EQ(domain->name, "vm0");
  EXPECT_EQ(domain->uuid, "c7a5fdbd-edaf-9455-926a-d65c16db1809");
  ASSERT_EQ(domain->disks.size(), 3U);
  EXPECT_EQ(domain->disks[0].source, "/srv/a & b.qcow2");
  EXPECT_EQ(domain->disks[0].format, "qcow2");
  EXPECT_EQ(domain->disks[0].bus, "virtio");
  EXPECT_EQ(domain->disks[1].type, "network");
  EXPECT_EQ(domain->disks[1].source, "export");
  EXPECT_EQ(domain->disks[2].type, "file");
  EXPECT_EQ(domain->disks[2].source, "");
  EXPECT_EQ(domain->disks[2].format, "");
  EXPECT_TRUE(domain->disks[2].transient);
}

TEST(DomainXml, UsesTheUuidOfTheNameIfNoneIsStated) {
  const auto domain = parse_domain_xml("<domain><name>vm0</name></domain>", "the given XML");
  ASSERT_TRUE(domain.ok());
  EXPECT_EQ(domain->uuid, "8bd7e477-e734-5fbe-9071-dc2af12052d1");
  EXPECT_TRUE(domain->disks.empty());
}

TEST(DomainXml, RefusesOtherTextWithTheReason) {
  EXPECT_NE(why("").find("'/srv/vm0.xml' cannot be parsed"), std::string::npos);
  EXPECT_NE(why("<domain><name>a</domain>").find("cannot be parsed at byte"), std::string::npos);
  EXPECT_NE(why("<network/>").find("has no <domain> element"), std::string::npos);
  EXPECT_NE(why("<domain/>").find("is not a domain name"), std::string::npos);
  EXPECT_NE(why("<domain><name>../a</name></domain>").find("'../a'"), std::string::npos);
  EXPECT_NE(why("<domain><name>a</name><uuid>1</uuid></domain>").find("uuid '1'"),
            std::string::npos);
  EXPECT_NE(why("<domain><name>a</name><devices><disk/></devices></domain>")
                .find("disk without <target dev>"),
            std::string::npos);
}

TEST(DomainXml, ReadsNoFileForExternalEntities) {
  const auto domain = parse_domain_xml(
      "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/hostname'>]>"
      "<domain><name>a&x;b</name></domain>",
      "the given XML");
  ASSERT_TRUE(domain.ok());
  EXPECT_EQ(domain->name, "a&x;b");
}

TEST(DomainXml, ReadsDeepNestingWithoutDeepRecursion) {
  std::string xml = "<domain><name>a</name>";
  constexpr int kDepth = 200000;
  for (int i = 0; i < kDepth; ++i) {
    xml += "<x>";
  }
  for (int i = 0; i < kDepth; ++i) {
    xml += "</x>";
  }
  EXPECT_TRUE(parse_domain_xml(xml + "</domain>", "the given XML").ok());
}

TEST(DomainXml, ReadsBackWhatItWrote) {
  const auto domain = parse_domain_xml(kXml, "the given XML");
  ASSERT_TRUE(domain.ok());
  Domain described = *domain;
  described.disks.resize(1);
  const auto again = parse_domain_xml(format_domain_xml(described), "the given XML");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->uuid, described.uuid);
  ASSERT_EQ(again->disks.size(), 1U);
  EXPECT_EQ(again->disks[0].source, "/srv/a & b.qcow2");
  EXPECT_EQ(again->disks[0].target, "vda");
}

TEST(DomainXml, ReadsTheFormatsOfLowerLayersByFile) {
  const auto domain = parse_domain_xml(
      "<domain><name>vm0</name><devices><disk><source file='/v/top'/><target dev='vda'/>"
      "<backingStore type='file'><format type='qcow2'/><source file='/v/mid'/>"
      "<backingStore type='block'><format type='raw'/><source dev='/dev/lv'/>"
      "<backingStore type='file'><source file='/v/unsaid'/>"
      "<backingStore type='network'><format type='raw'/><source name='pool/x'/>"
      "<backingStore/></backingStore></backingStore></backingStore></backingStore>"
      "</disk><disk><target dev='vdb'/></disk></devices></domain>",
      "x");
  ASSERT_TRUE(domain.ok());
  ASSERT_EQ(domain->disks.size(), 2U);
  const auto& formats = domain->disks[0].backing_formats;
  ASSERT_EQ(formats.size(), 2U);
  EXPECT_EQ(formats[0].path, "/v/mid");
  EXPECT_EQ(formats[0].format, "qcow2");
  EXPECT_EQ(formats[1].path, "/dev/lv");
  EXPECT_EQ(formats[1].format, "raw");
  EXPECT_TRUE(domain->disks[1].backing_formats.empty());
}

}  // namespace
}  // namespace blockpull::virt
