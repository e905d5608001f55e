// SPDX-License-Identifier: Apache-2.0
//
// The one supported URI, and the answers to all others.

#include "virt/domains/uri.h"

#include <string>

#include <gtest/gtest.h>

namespace blockpull::virt {
namespace {

TEST(Uri, NamesAFolder) {
  EXPECT_EQ(*parse_uri("qemu:///embed?root=/srv/vms"), "/srv/vms");
}

TEST(Uri, DecodesPercentEscapes) {
  EXPECT_EQ(*parse_uri("qemu:///embed?root=%2Fsrv/a%20b%26c"), "/srv/a b&c");
  EXPECT_EQ(*parse_uri("qemu:///embed?root=/%41"), "/A");
}

TEST(Uri, AnotherDriverGetsLibvirtsAnswer) {
  for (const char* uri : {"qemu:///system", "qemu:///session", "xen:///", "", "garbage",
                          "qemu+ssh://host/system", "qemu:///embedded?root=/a"}) {
    const auto root = parse_uri(uri);
    ASSERT_FALSE(root.ok()) << uri;
    EXPECT_EQ(static_cast<int>(root.error().code), 5);
    EXPECT_TRUE(root.error().error.message.starts_with(
        std::string("no connection driver available for ") + uri));
  }
}

TEST(Uri, AMalformedUriIsRefusedWithTheReason) {
  const auto refused = [](const char* uri, const char* why) {
    const auto root = parse_uri(uri);
    EXPECT_FALSE(root.ok()) << uri;
    EXPECT_NE(root.error().error.message.find(why), std::string::npos)
        << root.error().error.message;
    EXPECT_EQ(static_cast<int>(root.error().code), 8);
  };
  refused("qemu:///embed", "names no folder");
  refused("qemu:///embed?root=", "is not an absolute path");
  refused("qemu:///embed?root", "is not an absolute path");
  refused("qemu:///embed?root=vms", "is not an absolute path");
  refused("qemu:///embed?root=/a&root=/b", "names root twice");
  refused("qemu:///embed?root=/a&socket=/b", "'socket'");
  refused("qemu:///embed?root=/a%", "broken percent escape");
  refused("qemu:///embed?root=/a%4", "broken percent escape");
  refused("qemu:///embed?root=/a%zz", "broken percent escape");
  refused("qemu:///embed?root=/a%00b", "broken percent escape");
}

}  // namespace
}  // namespace blockpull::virt
