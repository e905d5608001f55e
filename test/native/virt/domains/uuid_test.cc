// SPDX-License-Identifier: Apache-2.0
//
// UUIDs against values of other implementations (Python's uuid module).

#include "virt/domains/uuid.h"

#include <string>

#include <gtest/gtest.h>

namespace blockpull::virt {
namespace {

TEST(Uuid, ANameGetsItsVersion5Uuid) {
  EXPECT_EQ(uuid_of_name("www.example.com"), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
  EXPECT_EQ(uuid_of_name("vm0"), "8bd7e477-e734-5fbe-9071-dc2af12052d1");
}

TEST(Uuid, ALongNameNeedsMoreThanOneBlock) {
  EXPECT_EQ(uuid_of_name(std::string(39, 'a')), "5824f981-4282-59d4-9716-acb6d741350e");
  EXPECT_EQ(uuid_of_name(std::string(40, 'a')), "39f39c20-db47-5131-8879-62f8f67f9014");
  EXPECT_EQ(uuid_of_name(std::string(200, 'a')), "fe30bfa6-ef90-59b3-b108-118411d0f0ab");
}

TEST(Uuid, AcceptsAnyCaseAndAnyHyphens) {
  EXPECT_EQ(parse_uuid("C7A5FDBDEDAF9455926AD65C16DB1809"), "c7a5fdbd-edaf-9455-926a-d65c16db1809");
  EXPECT_EQ(parse_uuid("c7a5fdbd-edaf-9455-926a-d65c16db1809"),
            "c7a5fdbd-edaf-9455-926a-d65c16db1809");
}

TEST(Uuid, RejectsOtherLengthsAndCharacters) {
  EXPECT_EQ(parse_uuid(""), std::nullopt);
  EXPECT_EQ(parse_uuid("garbage"), std::nullopt);
  EXPECT_EQ(parse_uuid("c7a5fdbd-edaf-9455-926a-d65c16db180"), std::nullopt);
  EXPECT_EQ(parse_uuid("c7a5fdbd-edaf-9455-926a-d65c16db18090"), std::nullopt);
}

}  // namespace
}  // namespace blockpull::virt
