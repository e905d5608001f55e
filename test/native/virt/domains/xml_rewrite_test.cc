// SPDX-License-Identifier: Apache-2.0
//
// The one change that a pull makes to domain XML; every other byte stays.

#include "virt/domains/xml_rewrite.h"

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "files/temp_folder.h"

namespace blockpull::virt {
namespace {

constexpr const char* kTop = "/v/top.qcow2";

/// A domain whose vda states `store`, in a text with everything that could mislead a scanner.
std::string with_store(const std::string& store) {
  return "\xEF\xBB\xBF<?xml version=\"1.0\"?>\n<!-- <backingStore> is > no markup -->\n"
         "<domain type='kvm'  id='3'>\r\n\t<name>vm0</name><!-- '\" -->\n"
         "<description><![CDATA[<backingStore></disk>]]></description>\n"
         "<devices>\n  <disk type='file'>\n<source file='/v/other.qcow2'/>"
         "<backingStore type='file'><source file='/v/base.qcow2'/></backingStore>"
         "<target dev='vdb'/></disk>\n  <disk type='file' device='disk'>\n"
         "    <source   file=\"/v/top.qcow2\" />\n    " +
         store +
         "\n    <target dev='vda' bus='virtio'/>\n    <x:unknown xmlns:x='u'>\xC3\xA4"
         "</x:unknown></disk>\n</devices></domain>\n\n";
}

std::string rewritten(const std::string& xml, std::optional<driver::KeptLayer> backing) {
  const auto result = rewrite_backing_store(xml, {"vda", kTop, std::move(backing)});
  EXPECT_TRUE(result.ok());
  return result.value().value_or("unchanged");
}

const driver::KeptLayer kBase{"/v/base.qcow2", "qcow2"};

const std::string kInner =
    "<backingStore  type='file' index='5'><!-- > </backingStore> --><format type='qcow2'/>\n"
    "<source file='/v/base.qcow2'><a b='x>y'/></source><backingStore/></backingStore>";
const std::string kOuter =
    "<backingStore type='file'>\n<format type='qcow2'/>"
    "<source file='/v/mid.qcow2'/>\n" +
    kInner + "</backingStore >";

TEST(XmlRewrite, EmptiesTheStatedChainAfterAWholePull) {
  EXPECT_EQ(rewritten(with_store(kOuter), std::nullopt), with_store("<backingStore/>"));
}

TEST(XmlRewrite, MovesTheBaseUpAsItStandsAfterAPartialPull) {
  EXPECT_EQ(rewritten(with_store(kOuter), kBase), with_store(kInner));
}

TEST(XmlRewrite, OnlyDropsLayersAfterAnUnseenEnd) {
  const auto dropped = [](const std::string& store, std::optional<driver::KeptLayer> backing) {
    return rewrite_backing_store(with_store(store), {"vda", kTop, std::move(backing), true});
  };
  EXPECT_EQ(*dropped(kOuter, std::nullopt), with_store("<backingStore/>"));
  EXPECT_EQ(*dropped(kOuter, kBase), with_store(kInner));
  EXPECT_EQ(*dropped(kInner, kBase), std::nullopt);
  EXPECT_EQ(*dropped(kOuter, driver::KeptLayer{"/v/else.qcow2", "qcow2"}), std::nullopt);
  EXPECT_EQ(*dropped("<backingStore/>", kBase), std::nullopt);
}

TEST(XmlRewrite, KnowsTheStatedBaseByAnotherNameOfItsFile) {
  const files::TempFolder folder;
  const std::string base = folder.write("base", "x");
  const std::string inner = "<backingStore type='file' index='5'><source file='" + base +
                            "'/><backingStore/></backingStore>";
  const std::string outer = "<backingStore><source file='/v/mid'/>" + inner + "</backingStore>";
  const std::string way_round = std::filesystem::path(folder.path()) / ".." /
                                std::filesystem::path(folder.path()).filename() / "base";
  const std::string link = std::filesystem::path(folder.path()) / "link";
  std::filesystem::create_symlink(base, link);
  for (const std::string& name : {way_round, link}) {
    EXPECT_EQ(rewritten(with_store(outer), driver::KeptLayer{name, "raw"}), with_store(inner));
  }
}

TEST(XmlRewrite, DescribesABaseThatTheXmlDoesNotKnow) {
  EXPECT_EQ(rewritten(with_store("<backingStore/>"), driver::KeptLayer{"/v/a&'<b.raw", "raw"}),
            with_store("<backingStore type='file'><format type='raw'/>"
                       "<source file='/v/a&amp;&apos;&lt;b.raw'/></backingStore>"));
}

TEST(XmlRewrite, LeavesADiskWithoutAChainAlone) {
  EXPECT_EQ(rewritten(with_store(""), std::nullopt), "unchanged");
  EXPECT_EQ(rewritten(with_store(""), kBase), "unchanged");
}

TEST(XmlRewrite, LeavesACorrectChainAlone) {
  EXPECT_EQ(rewritten(with_store("<backingStore/>"), std::nullopt), "unchanged");
  EXPECT_EQ(rewritten(with_store("<backingStore></backingStore>"), std::nullopt), "unchanged");
  EXPECT_EQ(rewritten(with_store(kInner), kBase), "unchanged");
}

TEST(XmlRewrite, LeavesADiskWithAnotherSourceAlone) {
  const auto result =
      rewrite_backing_store(with_store(kOuter), {"vda", "/v/else.qcow2", std::nullopt});
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result.value().has_value());
}

TEST(XmlRewrite, TextThatIsNotXmlIsAnError) {
  const auto result = rewrite_backing_store("<domain", {"vda", kTop, std::nullopt});
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message.find("cannot be parsed"), std::string::npos);
}

}  // namespace
}  // namespace blockpull::virt
