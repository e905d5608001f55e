// SPDX-License-Identifier: Apache-2.0
//
// Names of formats.

#include "core/image/image.h"

#include <gtest/gtest.h>

namespace blockpull::image {
namespace {

TEST(Format, NamesGoBothWays) {
  for (const Format format : {Format::kRaw, Format::kQcow2}) {
    EXPECT_EQ(*parse_format(format_name(format)), format);
  }
}

TEST(Format, EveryOtherNameIsRefusedByName) {
  for (const char* const name : {"qed", "vmdk", "QCOW2", "qcow", ""}) {
    const auto format = parse_format(name);
    ASSERT_FALSE(format.ok()) << name;
    EXPECT_EQ(format.error().kind, ErrorKind::kFeatureUnsupported);
    EXPECT_NE(format.error().message.find(std::string("'") + name + "' is not supported"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace blockpull::image
